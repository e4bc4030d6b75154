"""Texts of the kinds that agents send: written ones from files, and the kinds that only a machine writes."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
LEVELS = ("INFO", "DEBUG", "INFO", "WARNING", "INFO", "ERROR")
PARTS = ("berths", "tides", "payments", "letters", "moorings", "soundings")
FACES = "😀😅🚢⚓🌊🎉✅❌🔥🙏👍🏽🇳🇴🧭⛵"


def build_texts() -> dict[str, str]:
    """All texts by their names."""
    written = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SAMPLES.glob("*.txt"))}
    made = {
        "json": build_json(40),
        "minified": build_minified(30),
        "log": build_log(40),
        "listing": build_listing(40),
        "table": build_table(60),
        "base64": base64.b64encode(draw_bytes("base64", 2400)).decode(),
        "lockfile": build_lockfile(16),
        "stack trace": build_stack_trace(14),
        "emoji": "".join(f"{FACES[number % len(FACES)]} done {number % 7}\n" for number in range(120)),
    }
    return written | made


def draw(topic: str, limit: int) -> int:
    """A number below ``limit`` that looks random and is the same on every run."""
    return int.from_bytes(hashlib.sha256(topic.encode()).digest()[:6]) % limit


def draw_bytes(topic: str, count: int) -> bytes:
    """Bytes that look random and are the same on every run."""
    return b"".join(hashlib.sha256(f"{topic} {block}".encode()).digest() for block in range(count // 32 + 1))[:count]


def build_stays(count: int) -> Iterator[dict[str, object]]:
    """Records as a web service gives them."""
    for number in range(count):
        yield {
            "id": draw_bytes(f"id {number}", 12).hex(),
            "berth": f"{'ABC'[number % 3]}-{100 + draw(f'berth {number}', 60)}",
            "arrival": f"2026-07-{1 + number % 28:02}T{draw(f'hour {number}', 24):02}:30:00Z",
            "length_m": draw(f"length {number}", 3000) / 100,
            "paid": number % 4 != 0,
            "notes": None if number % 3 else "arrives late, call before",
            "tags": ["visitor", PARTS[number % len(PARTS)]],
        }


def build_json(count: int) -> str:
    """An answer of a web service, laid out for people."""
    return json.dumps({"stays": list(build_stays(count)), "next": None}, indent=2)


def build_minified(count: int) -> str:
    """Script without a superfluous character."""
    return ";".join(
        f"function {'abcdefgh'[n % 8]}{n}(e,t){{var n=e.{PARTS[n % 6]}||[];return t&&n.length>{draw(f'min {n}', 90)}"
        f'?n.map(function(e){{return e.id+"/{PARTS[n % 5]}"}}).filter(Boolean):{{ok:!1,c:{n}}}}}'
        for n in range(count)
    )


def build_log(count: int) -> str:
    """What a server has written."""
    return "".join(
        f"2026-07-14T{n % 24:02}:{draw(f'minute {n}', 60):02}:07.{draw(f'ms {n}', 1000):03}Z {LEVELS[n % 6]:<7} "
        f"[{PARTS[n % 6]}.worker-{n % 4}] request_id=req_{draw_bytes(f'req {n}', 8).hex()} GET /v2/{PARTS[n % 5]}/"
        f"{draw(f'row {n}', 10**5)}?limit=50 status={200 + 100 * (n % 3)} took={draw(f'took {n}', 90000) / 1000}ms\n"
        for n in range(count)
    )


def build_listing(count: int) -> str:
    """What ``ls -l`` says."""
    return "".join(
        f"-rw-r--r--  1 harbour staff {draw(f'size {n}', 10**6):>8} Jul {1 + n % 28:>2} {n % 24:02}:{n % 60:02} "
        f"{PARTS[n % 6]}/{PARTS[n * 5 % 6]}_{n:03}.{('py', 'json', 'test.ts', 'md')[n % 4]}\n"
        for n in range(count)
    )


def build_table(count: int) -> str:
    """Measurements with commas between them."""
    rows = (
        f"{n},2026-07-{1 + n % 28:02},{draw(f'depth {n}', 9000) / 1000},{draw(f'east {n}', 10**6) / 10**4},"
        f"{draw(f'north {n}', 10**6) / 10**4},{PARTS[n % 6]}"
        for n in range(count)
    )
    return "\n".join(("row,day,depth_m,east,north,part", *rows))


def build_lockfile(count: int) -> str:
    """Packages with their checksums."""
    packages = {
        f"node_modules/{PARTS[n % 6]}-{PARTS[n * 5 % 6]}": {
            "version": f"{n % 5}.{draw(f'minor {n}', 30)}.{draw(f'patch {n}', 20)}",
            "resolved": f"https://registry.example.org/{PARTS[n % 6]}/-/{PARTS[n % 6]}-{n}.tgz",
            "integrity": "sha512-" + base64.b64encode(draw_bytes(f"lock {n}", 64)).decode(),
            "engines": {"node": ">=18"},
        }
        for n in range(count)
    }
    return json.dumps({"lockfileVersion": 3, "packages": packages}, indent=2)


def build_stack_trace(count: int) -> str:
    """A failure of a program, from the outermost call to the innermost."""
    frames = "".join(
        f'  File "/srv/harbour/{PARTS[n % 6]}/{PARTS[n * 5 % 6]}.py", line {draw(f"line {n}", 900)}, in '
        f"handle_{PARTS[n % 6]}\n    return await self._{PARTS[n * 5 % 6]}.find(request.{PARTS[n % 6]}_id, limit={n})\n"
        for n in range(count)
    )
    return f"Traceback (most recent call last):\n{frames}KeyError: 'A-{draw('key', 900)}'\n"
