// One request by a provider of the AI SDK: PROVIDER ADDRESS TOKEN PROMPT [tools]
import { streamText, tool, stepCountIs, jsonSchema } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOllama } from "ollama-ai-provider-v2";

const [provider, url, token, prompt] = process.argv.slice(2);
const name = "gpt-oss:20b";
const headers = { authorization: `Bearer ${token}` };
const models = {
  openai: () => createOpenAI({ baseURL: `${url}/v1`, apiKey: token }).responses(name),
  compatible: () => createOpenAICompatible({ name: "okr", baseURL: `${url}/v1`, apiKey: token })(name),
  anthropic: () => createAnthropic({ baseURL: `${url}/v1`, authToken: token })(name),
  ollama: () => createOllama({ baseURL: `${url}/api`, headers })(name),
};
const weather = tool({
  description: "The weather of a city",
  inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] }),
  execute: async () => "rain",
});
const answer = streamText({
  model: models[provider](),
  prompt,
  tools: { get_weather: weather },
  stopWhen: stepCountIs(3),
  onError: ({ error }) => {
    console.error(error?.message ?? JSON.stringify(error));
    process.exitCode = 1;
  },
});
for await (const text of answer.textStream) process.stdout.write(text);
