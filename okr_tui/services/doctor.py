"""What is wrong with settings, environment, files, log, ports, cloud and keys, each with its remedy.

An error is what is not in force or cannot work, a warning what is allowed but unwise. Nothing is changed here
but by `Finding.fix`, which only ever does what is safe.
"""

import asyncio
import os
import platform
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import field
from difflib import get_close_matches
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from okr_tui import __version__
from okr_tui.domain.addresses import is_loopback, url
from okr_tui.domain.errors import ADD_A_KEY, CloudError, SettingsError, StoreError
from okr_tui.domain.faults import Fault
from okr_tui.domain.keys import Key
from okr_tui.domain.models import LOCAL, PROVIDER, ModelNames
from okr_tui.domain.text import clean_line
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import span
from okr_tui.services.configuration import Configuration, store_address, trust_question
from okr_tui.services.gateway_registry import Presence, dead_announcements, running_gateways
from okr_tui.services.live_pool import ALONE, UNCOUNTED
from okr_tui.services.pool_service import PoolService
from okr_tui.services.port_holder import holder
from okr_tui.settings import pi
from okr_tui.settings.checks import LONGEST_NAME
from okr_tui.settings.file import COPY, read
from okr_tui.settings.layers import CLOUD_URL
from okr_tui.settings.locations import NO_SETTINGS, agent_folder
from okr_tui.settings.lock import STALE
from okr_tui.settings.schema import Settings
from okr_tui.settings.table import ORIGINAL, SHORT, TABLE
from okr_tui.store.factory import NO_FOLDER, sqlite_path

WRITABLE: Final = "make its folder writable, or choose another path with okr-tui.store or --store"
REPLACE: Final = "replace it (remove-key, then add-key); keys are made at ollama.com/settings/keys"
OTHERS: Final = 0o077
LARGEST_LOG: Final = 256 * 1024 * 1024
"""Bytes that a log and its journal stay far below: what is older than 30 days or beyond 50 MiB is dropped."""
AT_ONCE: Final = 16
Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
LEAST_ROOM: Final = 1024 * 1024
"""Bytes that have to be free where the log is."""
AHEAD: Final = 60.0
"""Seconds from now on which no program dates its lock."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem or note, and its remedy. `fix` does the remedy where that is safe, and may raise OSError."""

    severity: Severity
    what: str
    remedy: str
    fix: Callable[[], object] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that was looked at; `mode` is None when there is none, or it cannot be looked at."""

    path: Path
    mode: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found. `store` is an address without password; versions are by package."""

    files: tuple[FileState, ...]
    findings: tuple[Finding, ...]
    store: str
    writable: bool | None
    versions: dict[str, str]


def examine(configuration: Configuration, state: Path | None) -> Report:
    """Examine what is on this machine; `state` is the folder of the token, None where there is none.

    Blocks for milliseconds, and up to 5 seconds where a file is being written.
    """
    settings = configuration.settings
    agent = agent_folder(configuration.environment)
    writable = _is_writable(settings)
    kept = state if state and state.is_dir() else None
    checks = {
        "the settings": lambda: _problems(configuration),
        "the settings files": lambda: _settings_folders(settings),
        "the environment": lambda: _variables(configuration.environment),
        "modes and owners": lambda: _modes(settings, state),
        "the keys": lambda: _keys(settings),
        "the sections": lambda: _sections(settings),
        "the locks": lambda: _locks(settings),
        "the log": lambda: _log(settings),
        "the state folder": lambda: _state(state),
        "the name on a shared log": lambda: _shared(configuration),
        "watching for changes": lambda: _watches(settings),
        "pi's files": lambda: _pi(settings, agent, configuration, kept),
        "the gateway": lambda: _gateway(settings, kept),
    }
    findings = [finding for name, check in checks.items() for finding in checked(name, check)]
    if writable is False:
        what, remedy = f"the log {store_address(settings)} cannot be written", WRITABLE
        if store_address(settings) == "-":
            what, _, remedy = NO_FOLDER.partition(": ")
        findings.append(Finding("error", what, remedy))
    files = tuple(FileState(path, _mode(path)) for path in (*settings.files, pi.auth_file(agent)))
    versions = {"python": platform.python_version()}
    versions |= {name: _version(name) for name in ("okr-tui", "textual", "httpx", "keyring")}
    return Report(files, tuple(findings), store_address(settings), writable, versions)


def checked(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return the findings of a check; a file that keeps it from its work is one, and ends no other check."""
    findings: list[Finding] = []
    try:
        findings.extend(check())
    except OSError as error:
        where = f"{clean_line(os.fsdecode(error.filename))}: " if error.filename else ""
        what = f"{name} could not be checked: {where}{(error.strerror or str(error)).lower()}"
        findings.append(Finding("error", what, "make that file or folder readable, or move it away"))
    return findings


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return each finding once: errors first, then warnings, then notes."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda each: SEVERITIES.index(each.severity)))


async def examine_pool(service: PoolService, *, offline: bool) -> list[Finding]:
    """Examine the way to the cloud, the log's own troubles, and what is known of each key.

    Unless offline, the cloud is asked for its models, and for identity and balance of each key, at no cost.
    """
    findings = [_worded("error", line) for line in service.network.problems]
    certificates = service.network.certificate_problems(service.cloud.url)
    findings += [_worded("error", line) for line in certificates]
    unreachable = (*service.network_problems, *certificates)
    severity: Severity = "warning" if service.pool.problem is None else "error"
    findings += [_worded(severity, line) for line in service.snapshot.log if line not in unreachable]
    if not offline and not unreachable:
        findings += await _ask_cloud(service)
    if not offline:
        findings += await _fallbacks(service)
    for row in service.pool.view().keys:
        name = f"key {row.index} {row.masked}"
        if row.state.traits.refused:
            findings.append(Finding("error", f"{name} is {row.state.value}: {row.verdict.reason}", REPLACE))
        if row.same_as:
            what = f"{name} belongs to the same account as key {row.same_as} and adds no quota"
            findings.append(Finding("warning", what, f"okr-tui remove-key {row.index}"))
    if ahead := service.snapshot.clock_ahead:
        direction = "ahead of" if ahead > 0 else "behind"
        what = f"the clock of this machine is {span(abs(ahead))} {direction} the cloud's"
        findings.append(Finding("warning", what, "set it, or have it set: timedatectl set-ntp true"))
    return findings


async def _ask_cloud(service: PoolService) -> list[Finding]:
    """Return what the cloud's answers show; a key that is refused twice is in the log then."""
    pool, poller = service.pool, service.quota_poller
    try:
        with service.cloud.use() as cloud:
            if cloud.refused:
                return []  # among the problems of the settings
            await cloud.models()
    except CloudError as error:
        what = f"the cloud {service.cloud.url} cannot be used: {_fault_words(error.fault)}"
        return [_worded("error", what, "check the network, the proxy and cloudUrl")]
    few = asyncio.Semaphore(AT_ONCE)
    used = pool.config.in_use(pool.state)

    async def looked(key: Key) -> Fault | None:
        async with few:
            return (await poller.look(key)).fault

    faults = await asyncio.gather(*map(looked, used))
    found = [(key, fault) for key, fault in zip(used, faults, strict=True) if fault]
    for key, fault in found:
        poller.faulted(key, fault)
    await poller.settle(pool.policy.confirm_at_exit)
    rows = {row.fingerprint: row for row in pool.view().keys}
    return [
        _worded(
            "warning",  # it may be as good as ever
            f"key {rows[key.fingerprint].index} {key.masked} could not be checked: {_fault_words(fault)}",
            "try again in a minute; okr-tui events --faults shows more",
        )
        for key, fault in found
        if not rows[key.fingerprint].state.traits.refused  # those are reported with what is known of them
    ]


async def _fallbacks(service: PoolService) -> list[Finding]:
    """Return which of the fallback models cannot answer."""
    settings, listed = service.configuration.settings.models, service.model_names.listed
    others = {other for each in settings.fallback.values() for other in each}
    local = {other.removeprefix(LOCAL) for other in others if other.startswith(LOCAL)}
    cloud = {*settings.aliases.values(), *(other for other in others if not other.startswith(LOCAL))}
    missing = sorted(name for name in cloud if listed and service.model_names.resolve(name) not in listed)
    found = [
        Finding("warning", f"okr-tui.models names {name}, which the cloud does not list", UNKNOWN_MODEL)
        for name in missing
    ]
    if local:
        try:
            async with service.cloud.client_at(settings.local) as client:
                there = ModelNames(frozenset(model.id for model in (await client.models()).models))
        except CloudError as error:
            what = f"the local Ollama {settings.local} does not answer: {_fault_words(error.fault)}"
            return [*found, Finding("warning", what, "start it: ollama serve; or set okr-tui.models.local")]
        found += [
            Finding(
                "warning",
                f"the local Ollama has no {name}, which models.fallback names",
                f"ollama pull {name}",
            )
            for name in sorted(local)
            if there.resolve(name) not in there.listed
        ]
    return found


UNKNOWN_MODEL: Final = "okr-tui models lists those it has"


def _fault_words(fault: Fault) -> str:
    return f"{fault.status} {fault.text}" if fault.status else fault.text


def _worded(severity: Severity, line: str, otherwise: str = "see the message") -> Finding:
    """Return the finding of a line that may have its remedy after a semicolon."""
    what, _, rest = line.partition("; ")
    remedies = [part for part in rest.split("; ") if part and not part.startswith((ALONE, UNCOUNTED))]
    return Finding(severity, what, "; ".join(remedies) or otherwise)


def _problems(configuration: Configuration) -> Iterator[Finding]:
    for problem in configuration.settings.problems:
        what = problem.describe()
        if what == NO_SETTINGS:
            what, _, remedy = what.partition(": ")
            yield Finding(problem.severity, what, remedy)
        else:
            yield Finding(problem.severity, what, problem.remedy or remedy_for(problem.message))


REMEDIES: Final = (
    ("must be", "correct it there"),
    ("it belongs in", "move it there"),
    ("not valid JSON", "correct it there"),
    ("must hold one JSON object", 'write one object there: {"pi-ollama": {"apiKeys": [...]}}'),
    ("UTF-16 text", "save it as UTF-8 in your editor"),
    ("not UTF-8 text", "save it as UTF-8 in your editor"),
    ("is not a file", "move it away, or name a file with --settings"),
    ("cannot be read: ", "make it readable to you: chmod u+r, or chown"),
    ("appears there twice", "merge the two into one"),
    ("its ending", "leave that ending out there"),
    (f"{CLOUD_URL} cannot be used", "write https://ollama.com there, or remove it"),
    ("is beyond the", "okr-tui use-key N chooses one that exists"),
    ("needs the extra keyring", "install it with that command, or remove the entry"),
    ("the system's secret store", "add the entry there, or remove it here"),
    ("characters", "write the whole key there, or remove it"),
    ("printable ASCII", "write the whole key there, or remove it"),
    ("entries ignored", "remove them there"),
    ("entry ignored", "remove it there"),
)
"""What to do by words of a problem that only says what is wrong."""


def remedy_for(message: str) -> str:
    """Return what to do about a value in the settings, by the words that say what is wrong with it."""
    _, asks, nearest = message.partition("; did you mean ")
    if asks:
        return f"write {nearest.rstrip('?')} there, or remove it"
    found = (remedy for words, remedy in REMEDIES if words in message)
    return next(found, "correct it there, or remove it")


def _settings_folders(settings: Settings) -> Iterator[Finding]:
    """Yield files and folders that were named and are not there, and copies that were left behind."""
    folder = settings.project_file.parent.parent
    if not folder.is_dir():
        yield Finding("error", f"there is no folder {folder}", "correct --project, or leave it out")
    for path in settings.files:
        if path.is_symlink() and not path.exists():
            what = f"{path} is a link to {os.readlink(path)}, which does not exist"
            yield Finding("error", what, f"put the file there, or rm {path}")
        copy = path.with_name(path.name + COPY)
        if copy.exists():
            what = f"{copy} was left by a program that died while it wrote {path}"
            yield Finding("warning", what, f"compare the two, then rm {copy}")


KNOWN_VARIABLES: Final = (
    *(row.variable for row in TABLE if row.variable),
    *("OKR_TUI_SETTINGS", "PI_CODING_AGENT_DIR", "XDG_STATE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "NO_COLOR"),
)
OF_OTHERS: Final = ("FTP_PROXY", "RSYNC_PROXY", "SOCKS_PROXY", "SSL_CERT_PATH")


def _variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield variables of the environment whose names are nearly those that are read."""
    for name in environment:
        upper = name.upper()
        if upper in (*KNOWN_VARIABLES, *OF_OTHERS):
            continue
        near = get_close_matches(upper, KNOWN_VARIABLES, 1, 0.87)
        if near or upper.startswith("OKR_TUI_"):
            shown = clean_line(name, LONGEST_NAME)
            meant = f"; did you mean {near[0]}?" if near else ""
            what = f"the environment variable {shown} is not read{meant}"
            yield Finding("warning", what, f"rename or unset {shown}")


def _modes(settings: Settings, state: Path | None) -> Iterator[Finding]:
    for path in settings.open_to_others:
        what = f"{path} holds keys, and other users may read or write it (mode {_octal(_mode(path))})"
        yield Finding("warning", what, f"chmod 600 {path}", partial(path.chmod, 0o600))
    log = _log_file(settings)
    own = [state / name for name in ("gateway-token", "conversations.db", pi.MEMORY)] if state else []
    for path in dict.fromkeys([*([log] if log else ()), *own]):
        mode = _mode(path)
        if mode is not None and mode & OTHERS and path.is_file():
            what = f"other users may read or write {path} (mode {_octal(mode)})"
            yield Finding("warning", what, f"chmod 600 {path}", partial(path.chmod, 0o600))
    folders = [path.parent for path in settings.files if path.exists()] + ([state] if state else [])
    for folder in dict.fromkeys(folders):
        mode = _mode(folder)
        if mode is not None and mode & stat.S_IWOTH and not mode & stat.S_ISVTX and folder.is_dir():
            what = f"other users may replace the files in {folder} (mode {_octal(mode)})"
            yield Finding("warning", what, f"chmod o-w {folder}", partial(folder.chmod, mode & ~stat.S_IWOTH))
    for path in dict.fromkeys([*settings.files, *([log] if log else ()), *own]):
        owner = path.stat().st_uid if path.exists() else os.geteuid()
        if owner not in (os.geteuid(), 0):
            what = f"{path} belongs to another user (number {owner}), who can read and change it"
            yield Finding("warning", what, f"chown {os.geteuid()} {path}")


def _keys(settings: Settings) -> Iterator[Finding]:
    if not settings.keys:
        yield Finding("error", "no key is configured", ADD_A_KEY)
    for at, (key, source) in enumerate(zip(settings.keys, settings.key_sources, strict=True), 1):
        for other in source.also:
            what = f"key {at} {key.masked} of {source.origin.describe()} is also in {other.describe()}"
            yield Finding("note", what, "remove one of them")
    if question := trust_question(settings):
        what = f"{question.project_file} is not trusted; it wants to {'; '.join(question.wants)}"
        yield Finding("note", what, "run okr-tui trust, or okr-tui trust --revoke to stop being asked")
    if settings.index_shadow:
        yield Finding("note", settings.index_shadow, "unset it to let use-key and rotate decide")
    for valued in settings.values.values():
        if valued.shadowed and valued.origin.variable and any(other.file for other in valued.shadowed):
            others = ", ".join(other.describe() for other in valued.shadowed)
            what = f"{valued.origin.describe()} decides over {others}"
            yield Finding("note", what, "unset one of them")


def _sections(settings: Settings) -> Iterator[Finding]:
    for path in settings.files:
        root = _root(path)
        if ORIGINAL in root and SHORT in root:
            what = f'{path} has both "{ORIGINAL}" and "{SHORT}": keys of both count, otherwise "{SHORT}" wins'
            yield Finding("warning", what, f'move the contents of "{SHORT}" to "{ORIGINAL}"')


def _locks(settings: Settings) -> Iterator[Finding]:
    for path in settings.files:
        lock = Path(f"{path}.lock")
        try:
            status = lock.lstat()
        except OSError:
            continue  # none there, as it should be
        if not stat.S_ISDIR(status.st_mode):
            yield Finding("error", f"{lock} is a file, which blocks pi and this program", f"rm {lock}")
            continue
        full = any(lock.iterdir())
        remedy, fix = f"rm -r {lock}" if full else f"rmdir {lock}", None if full else lock.rmdir
        if status.st_mtime > time.time() + AHEAD:
            what = f"{lock} is dated in the future, so it blocks pi and this program until then"
            yield Finding("error", what, remedy, fix)
        elif status.st_mtime < time.time() - STALE:
            what = f"{lock} was left behind by a program that died"
            yield Finding("error" if fix is None else "warning", what, remedy, fix)


def _log(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with a log in a file: damage, size, and damaged ones that were set aside."""
    path = _log_file(settings)
    if path is None:
        return
    folder = next((each for each in path.parents if each.exists()), path)
    disk = os.statvfs(folder)
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < LEAST_ROOM:
        yield Finding(
            "error", f"the disk of the log {path} is full", "make room on it, or choose another path"
        )
    if not path.is_file():
        return
    if result := _damage(path):
        what = f"the log {path} is damaged: {result}"
        yield Finding("error", what, f"mv {path} {path}.damaged; a new one is started, your settings stay")
    journal = path.with_name(f"{path.name}-wal")
    size = sum(each.stat().st_size for each in (path, journal) if each.exists())
    if size > LARGEST_LOG:
        what = f"the log {path} keeps growing: {size // 1024 // 1024} MB with its journal"
        yield Finding("warning", what, "end okr-tui processes that hang; the next one to start tidies it up")
    broken = sorted(path.parent.glob(f"{path.name}.broken-*"))
    if broken:
        what = f"{len(broken)} damaged logs were set aside, the last as {broken[-1]}"
        yield Finding("note", what, f"rm {path}.broken-*")


def _state(state: Path | None) -> Iterator[Finding]:
    """Yield what is wrong with the token, the conversations and the announcements in the state folder."""
    if state is None or not state.exists():
        return
    if not state.is_dir():
        yield Finding(
            "error",
            f"{state} is a file, not a folder, so nothing can be saved there",
            f"mv {state} {state}.old",
        )
        return
    token = state / "gateway-token"
    if token.exists() and (not token.is_file() or not token.stat().st_size):
        what = f"{token} contains no token, so the gateway accepts no client"
        yield Finding(
            "error", what, "okr-tui token rotate makes a new one" if token.is_file() else f"rm -r {token}"
        )
    conversations = state / "conversations.db"
    if conversations.is_file() and (why := _damage(conversations)):
        what = f"the conversations in {conversations} are damaged: {why}"
        yield Finding(
            "error", what, f"mv {conversations} {conversations}.damaged; new ones start in a new file"
        )
    for path in dead_announcements(state):
        what = f"{path} was left behind by a gateway that was killed"
        yield Finding("warning", what, f"rm {path}", path.unlink)


def _damage(database: Path) -> str:
    """Return what is wrong with a database, "" where nothing is. It is opened for reading only.

    On a full disk, or in a folder that cannot be written, it can only be read without its journal.
    """
    result = ""
    for way in ("mode=ro", "immutable=1"):
        address = f"{database.absolute().as_uri()}?{way}"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=5)) as opened:
                (result,) = opened.execute("pragma quick_check(1)").fetchone()
                break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return ""
            result = str(error)
        except sqlite3.Error as error:
            return str(error)
    return "" if result == "ok" else str(result)


def _shared(configuration: Configuration) -> Iterator[Finding]:
    if configuration.shares_log and not configuration.settings.person.value:
        what = (
            f"the log {store_address(configuration.settings)} may be shared, and its records call you someone"
        )
        yield Finding("warning", what, "okr-tui config set name NAME")


def _watches(settings: Settings) -> Iterator[Finding]:
    from watchfiles._rust_notify import RustNotify

    folder = next(path for path in settings.global_file.parents if path.is_dir())
    try:
        RustNotify([str(folder)], False, False, 0, False, False).close()
    except UnicodeEncodeError:
        what = f"{folder} has a name that is not UTF-8, so changes of files in it are seen up to 1 s late"
        yield Finding("warning", what, "rename it, or name a file elsewhere with --settings")
    except (OSError, RuntimeError) as error:
        what = f"changes of files cannot be watched, so edits are seen late: {error}"
        yield Finding("warning", what, "raise fs.inotify.max_user_instances and max_user_watches (sysctl)")


def _pi(
    settings: Settings, agent: Path, configuration: Configuration, state: Path | None
) -> Iterator[Finding]:
    """Yield findings in pi's own files that affect these keys."""
    for path in dict.fromkeys((*settings.files, agent / "settings.json")):
        try:
            for name in pi.extension_lists(path):
                what = (
                    f"{path} loads {pi.EXTENSION} in {name}: it ignores the global cloudUrl and "
                    "activeKeyIndex, and replaces a provider ollama-cloud of models.json"
                )
                yield Finding("warning", what, "remove it if pi should use the gateway")
        except SettingsError as error:
            if path not in settings.files:  # reported with the settings already
                yield Finding("warning", str(error), "correct the file")
    if state is not None:
        path = pi.models_file(settings.global_file)
        try:
            if pi.was_edited(path, state):
                what = f"the provider {PROVIDER} in {path} was changed since connect pi --write"
                remedy = "remove it there and run okr-tui connect pi --write, or keep it as it is"
                yield Finding("warning", what, remedy)
        except SettingsError as error:
            yield Finding("warning", str(error), "correct the file")
    auth = pi.auth_file(agent)
    try:
        stored = pi.stored_keys(auth, configuration.environment)
    except SettingsError as error:
        yield Finding("warning", str(error), "correct the file, or log in to pi again")
        return
    for found in stored:
        what = f"{auth} has {found.words} for {found.provider}"
        if found.provider == pi.PROVIDERS[0]:
            what += ", which overrides the apiKey of a provider of that name in models.json"
        yield Finding("note", what, "okr-tui import-keys adds it to the pool")


def _gateway(settings: Settings, state: Path | None) -> Iterator[Finding]:
    """Yield what keeps the gateway from its ports, and gateways that run with other settings or code."""
    options = settings.gateway
    running = running_gateways(state) if state else ()
    for presence in running:
        again = f"end process {presence.pid} and start it again"
        if presence.version != __version__:
            what = f"the gateway at {presence.url} runs {presence.version or 'an earlier version'}"
            yield Finding("warning", f"{what}, this is {__version__}", again)
    if running and options.port and not _runs(options.url, running):
        what = f"the gateway runs at {running[0].url}, while the settings say {options.url}"
        yield Finding("warning", what, f"end process {running[0].pid} and start it again")
    if not is_loopback(options.host):
        what = f"gateway.host {options.host} can be reached by other machines"
        if options.autostart:
            yield Finding(
                "error", f"{what}, so the dashboard starts no gateway", "run okr-tui serve --expose"
            )
        else:
            yield Finding("warning", what, "only okr-tui serve --expose listens there; 127.0.0.1 is private")
    for name, host, port in (
        ("port", options.host, options.port),
        ("daemonPort", "127.0.0.1", options.daemon_port),
    ):
        if not port or _runs(url(host, port), running):
            continue
        if why := _taken(host, port):
            remedy = next(
                (words for part, words in PORT_REMEDIES if part in why), "end that program, or choose"
            )
            yield Finding("error", f"gateway.{name}: {why}", f"{remedy} another gateway.{name}")


PORT_REMEDIES: Final = (
    ("permission denied", "only root can use ports below 1024: choose"),
    ("cannot assign", "set gateway.host to an address of this machine, such as 127.0.0.1, or choose"),
    ("not known", "set gateway.host to an address of this machine, such as 127.0.0.1, or choose"),
)


def _runs(address: str, running: tuple[Presence, ...]) -> bool:
    return any(address in (presence.url, presence.daemon_url) for presence in running)


def _taken(host: str, port: int) -> str:
    """Return why no one can listen there, "" where it is possible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        by = holder(port) if isinstance(error, OSError) and error.errno else None
        words = f"{by} listens there" if by else (error.strerror or str(error)).lower()
        return f"{host} port {port} cannot be used: {words}"
    return ""


def _root(path: Path) -> dict[str, object]:
    try:
        return dict(read(path).root)
    except SettingsError:
        return {}  # among the problems already


def _log_file(settings: Settings) -> Path | None:
    """Return the file of the log; None for a log that is not a file, or for a user without a home folder."""
    try:
        return sqlite_path(settings.store.value)
    except StoreError:
        return None


def _is_writable(settings: Settings) -> bool | None:
    """Return whether the log can be written, as far as the files tell; None for a log that is not a file."""
    try:
        path = sqlite_path(settings.store.value)
    except StoreError:
        return False
    if path is None:
        return None
    folder = next((each for each in path.parents if each.exists()), path)
    return os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))


def store_finding(error: StoreError) -> Finding:
    """Return the finding of a log that no address or no extra leads to."""
    what, extra, remedy = str(error).partition(": ")
    if extra and "extra" in what:
        return Finding("error", what, remedy)
    return Finding("error", str(error), "correct okr-tui.store, OKR_TUI_STORE or --store")


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _octal(mode: int | None) -> str:
    return "unknown" if mode is None else f"{mode:04o}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
