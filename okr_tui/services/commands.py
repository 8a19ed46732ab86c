"""What a front asks of the service: keys chosen, tested and changed, models read, chats, the gateway."""

from collections.abc import AsyncGenerator, Awaitable, Collection, Mapping, Sequence

from pydantic import SecretStr

from okr_tui.domain.chat import ChatEvent, Message
from okr_tui.domain.choice import Question
from okr_tui.domain.errors import ADD_A_KEY, NO_KEY, NoKeyError, OkrError, SettingsError
from okr_tui.domain.feed_filter import FeedFilter
from okr_tui.domain.feed_window import Page
from okr_tui.domain.keys import Key
from okr_tui.domain.records import Client, Disabled, Enabled, Reset, Use
from okr_tui.domain.trail import Trail
from okr_tui.domain.words import sentence
from okr_tui.services.chat import answer, post
from okr_tui.services.clock import Clock
from okr_tui.services.configuration import Configuration
from okr_tui.services.dispatch import Dispatch
from okr_tui.services.gateway import GatewaySwitch
from okr_tui.services.inventory import Inventory
from okr_tui.services.key_settings import KeySettings
from okr_tui.services.log_reader import LogReader
from okr_tui.services.meter import Meter
from okr_tui.services.pool import Pool
from okr_tui.services.service import KeepIn
from okr_tui.services.setting_edits import SettingEdits


class Commands:
    """The commands of Service, over parts that are open. Keyring makes the parts and keeps them running."""

    configuration: Configuration
    clock: Clock
    pool: Pool
    meter: Meter
    inventory: Inventory
    dispatch: Dispatch
    gateway: GatewaySwitch
    _client: Client
    _key_settings: KeySettings
    _setting_edits: SettingEdits
    _reader: LogReader

    async def reload(self) -> None:
        """Read the settings again; what is broken keeps its last good content."""
        raise NotImplementedError

    async def history(
        self, wanted: FeedFilter, *, before: int | None = None, after: int | None = None
    ) -> Page:
        """See Service."""
        if after is not None:
            return await self._reader.newer(wanted, after)
        return await self._reader.older(wanted, before)

    async def trail(self, fingerprint: str) -> Trail:
        """See Service."""
        return await self._reader.trail(fingerprint)

    async def use_key(self, index: int) -> str:
        """See Service."""
        self.key(index)
        return f"Active Ollama cloud key → {await self._prefer(index)}"

    async def rotate(self) -> str:
        """See Service."""
        roster = self.pool.roster
        if not roster.keys:
            raise NoKeyError(f"no key to rotate to, none is configured: {ADD_A_KEY}")
        if len(roster.keys) == 1:
            return "nothing to rotate to: the pool has one key"
        here = roster.index(roster.preferred) or 1
        verdicts = self.pool.choose(Question(self.clock.time(), in_flight=self.pool.in_flight)).verdicts
        order = [(here - 1 + offset) % len(roster.keys) for offset in range(1, len(roster.keys))]
        free = next((place for place in order if verdicts[place].eligible), None)
        if free is None:
            raise SettingsError("nothing to rotate to: every other key is blocked; choose one by its number")
        return f"Rotated Ollama cloud key → {await self._prefer(free + 1)}"

    async def _prefer(self, index: int) -> str:
        said = await self.configuration.prefer(index - 1)
        await self.reload()
        key = self.key(index)
        await self.pool.append(Use(at=self.clock.time(), client=self._client, fingerprint=key.fingerprint))
        return f"#{index} {key.masked}\n{said}"

    async def refresh_models(self) -> str:
        """See Service."""
        await self.inventory.refresh()
        if self.inventory.error:
            kept = "the last list is kept" if self.inventory.models else "no list was read before, try again"
            raise OkrError(f"models not refreshed: {self.inventory.error}; {kept}")
        count = sum(model.status == "listed" for model in self.inventory.models)
        return f"Loaded {count} cloud Ollama models"

    async def test_key(self, index: int) -> str:
        """See Service."""
        key = self.key(index)
        fault = await self.meter.identity(key) or await self.meter.balance(key)
        if fault:
            self.meter.faulted(key, fault)
            status = f"{fault.status} " if fault.status else ""
            raise OkrError(f"#{index} {key.masked}: {status}{fault.text}")
        row = self.pool.view().keys[index - 1]
        return (
            f"#{index} {key.masked}: {sentence(row.verdict, self.clock.time())}, plan {row.plan or 'unknown'}"
        )

    async def reset_key(self, index: int) -> str:
        """See Service."""
        key = self.key(index)
        await self.pool.append(Reset(at=self.clock.time(), client=self._client, fingerprint=key.fingerprint))
        return f"#{index} {key.masked}: older faults forgotten"

    async def set_enabled(self, index: int, *, enabled: bool) -> str:
        """See Service."""
        key = self.key(index)
        fact = Enabled if enabled else Disabled
        await self.pool.append(fact(at=self.clock.time(), client=self._client, fingerprint=key.fingerprint))
        return f"#{index} {key.masked}: switched {'on' if enabled else 'off'}"

    async def add_key(self, secret: SecretStr, *, label: str | None, keep: KeepIn) -> str:
        """See Service."""
        return await self._key_settings.add(secret, label, keep)

    async def take_key(self, reference: SecretStr) -> str:
        """Add a key by a reference, which is resolved to see that it is one."""
        return await self._key_settings.take(reference)

    async def remove_key(self, index: int, *, forget: bool = False) -> str:
        """See Service. `forget` deletes its text from the system keyring too, which cannot be undone."""
        return await self._key_settings.remove(self.key(index), forget=forget)

    async def restore_key(self) -> str:
        """See Service."""
        return await self._key_settings.restore()

    async def label_key(self, index: int, label: str | None) -> str:
        """See Service."""
        return await self._key_settings.label(self.key(index), label)

    async def favour_model(self, model: str, *, wanted: bool) -> str:
        """See Service."""
        return await self._setting_edits.favour(model, wanted=wanted)

    async def change_setting(self, name: str, text: str | None) -> str:
        """See Service."""
        return await self._setting_edits.change(name, text)

    async def trust_project(self, *, trusted: bool) -> str:
        """See Service."""
        return await self._reloaded(self.configuration.trust(trusted=trusted))

    async def close_file(self) -> str:
        """See Service."""
        return await self._reloaded(self.configuration.close_file())

    async def _reloaded(self, done: Awaitable[str]) -> str:
        said = await done
        await self.reload()
        return said

    async def switch_gateway(self) -> str:
        """See Service."""
        return await self.gateway.switch()

    def chat(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        conversation: str,
        think: str | None = None,
        sampling: Mapping[str, object] | None = None,
        tools: Sequence[Mapping[str, object]] = (),
        avoid: Collection[str] = (),
    ) -> AsyncGenerator[ChatEvent, None]:
        """See Service, and chat.answer for the rest."""
        return answer(
            self.dispatch,
            self.clock,
            self._client,
            model,
            messages,
            conversation=conversation,
            think=think,
            sampling=sampling,
            tools=tools,
            avoid=avoid,
        )

    async def post(self, path: str, document: Mapping[str, object], *, conversation: str) -> object:
        """Ask an endpoint that answers with one JSON document; see chat.post."""
        return await post(self.dispatch, self._client, path, document, conversation=conversation)

    def key(self, index: int) -> Key:
        """The key at a 1-based place; raises an OkrError when there is none."""
        keys = self.pool.roster.keys
        if not keys:
            raise NoKeyError(NO_KEY)
        if not 1 <= index <= len(keys):
            raise OkrError(f"Invalid key index: {index}; the pool has {len(keys)}")
        return keys[index - 1]
