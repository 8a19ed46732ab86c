"""How the streams of each dialect begin, go on, end and break."""

import re

from tests.gateway.running_gateway import BODIES, events

# What makes pi send the whole turn again.
REPEATS = re.compile(
    r"overloaded|rate.?limit|too many requests|429|5\d\d|service.?unavailable|server error|internal error|"
    r"connection|network|time.?out|fetch failed|upstream|reset|terminated|ended without",
    re.IGNORECASE,
)
OPENINGS: dict[str, list[bytes]] = {
    "/api/chat": [b'{"message":{"role":"assistant","content":""},"done":false}\n'],
    "/api/generate": [b'{"response":"","done":false}\n'],
    "/v1/chat/completions": events({"choices": [{"delta": {"role": "assistant", "content": ""}}]}),
    "/v1/completions": events({"choices": [{"text": ""}]}),
    "/v1/responses": events(
        {"type": "response.created", "response": {"status": "in_progress", "error": None}},
        {"type": "response.output_item.added", "item": {"type": "message", "content": []}},
    ),
    "/v1/messages": events(
        {
            "type": "message_start",
            "message": {"content": [], "usage": {"input_tokens": 5, "cache_read_input_tokens": 2}},
        },
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
    ),
}
PIECES: dict[str, list[bytes]] = {
    "/api/chat": [b'{"message":{"role":"assistant","content":"Hel"},"done":false}\n'],
    "/api/generate": [b'{"response":"Hel","done":false}\n'],
    "/v1/chat/completions": events({"choices": [{"delta": {"content": "", "reasoning": "Hm"}}]}),
    "/v1/completions": events({"choices": [{"text": "Hel"}]}),
    "/v1/responses": events({"type": "response.output_text.delta", "delta": "Hel"}),
    "/v1/messages": events({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hel"}}),
}
COMPLETION_USAGE = {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens": 3}
RESPONSE_USAGE = {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3}
CLOSINGS: dict[str, list[bytes]] = {
    "/api/chat": [
        b'{"message":{"content":""},"done":true,"prompt_eval_count":7,"prompt_eval_cached_count":2,"eval_count":3}\n'
    ],
    "/api/generate": [
        b'{"response":"","done":true,"prompt_eval_count":7,"prompt_eval_cached_count":2,"eval_count":3}\n'
    ],
    "/v1/chat/completions": events({"choices": [], "usage": COMPLETION_USAGE}, done=True),
    "/v1/completions": events({"choices": [], "usage": COMPLETION_USAGE}, done=True),
    "/v1/responses": events(
        {
            "type": "response.completed",
            "response": {"status": "completed", "usage": RESPONSE_USAGE},
        }
    ),
    "/v1/messages": events(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ),
}
ERRORS: dict[str, list[bytes]] = {
    path: [b'{"error":"Internal Server Error (ref: 1)"}\n']
    if path.startswith("/api/")
    else events({"type": "error", "error": {"type": "api_error", "message": "Internal Server Error"}})
    for path in BODIES
}
