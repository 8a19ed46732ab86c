"""The control interface under /_demo: order faults, change accounts, read what was received."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from okr_tui.demo.catalogue import BEHAVIOURS, FAULTS
from okr_tui.demo.scenarios import Action, Change, Outage, Rule
from okr_tui.demo.state import State


def routes(state: State) -> list[Route]:
    """Return the routes below /_demo, bound to a state."""

    def order(make: Callable[..., Action]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                action = make(**request.path_params, **await request.json())
                state.apply(action, state.advance())
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, 400)
            return JSONResponse(overview(state))

        return endpoint

    async def read_overview(_request: Request) -> Response:
        return JSONResponse(overview(state))

    async def read_requests(_request: Request) -> Response:
        return JSONResponse({"requests": [asdict(received) for received in state.requests]})

    async def clear_requests(_request: Request) -> Response:
        state.requests.clear()
        return JSONResponse({"requests": []})

    async def read_faults(_request: Request) -> Response:
        return JSONResponse(
            {"names": [*FAULTS, *BEHAVIOURS], "ordered": [asdict(rule) for rule in state.rules]}
        )

    async def clear_faults(_request: Request) -> Response:
        state.rules.clear()
        state.outage = None
        return JSONResponse({"names": [*FAULTS, *BEHAVIOURS], "ordered": []})

    return [
        Route("/state", read_overview),
        Route("/requests", read_requests),
        Route("/requests", clear_requests, methods=["DELETE"]),
        Route("/faults", read_faults),
        Route("/faults", order(Rule), methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/accounts/{account}", order(Change), methods=["POST"]),
        Route("/outage", order(Outage), methods=["POST"]),
    ]


def overview(state: State) -> dict[str, object]:
    """Return the accounts and what is wrong with the service, now."""
    now = state.advance()
    return {
        "scenario": state.scenario.name,
        "now": now,
        "outage": state.outage.fault if state.outage else None,
        "accounts": [
            {
                "name": account.name,
                "plan": account.plan,
                "balance": account.balance(),
                "used": {name: window.used for name, window in account.windows.items()},
                "slots": account.slots,
                "active": account.active,
                "elsewhere": account.elsewhere,
                "suspended": account.suspended,
                "keys": [
                    {
                        "label": credential.label,
                        "fingerprint": credential.fingerprint,
                        "valid": credential.valid,
                    }
                    for credential in state.credentials.values()
                    if credential.account is account
                ],
            }
            for account in state.accounts.values()
        ],
    }
