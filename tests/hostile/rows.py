"""The threat model as a table: what somebody sends us, and what he must get. `docs/hostile.md` is made of it.

A test says with `@pytest.mark.row(14, 15)` which rows it proves; `test_rows.py` fails while a row has none. `OPEN`
lists those that are known not to hold yet, each with its reason; an empty one is the aim.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Row:
    sent: str
    gets: str
    stored: bool = False  # a database has a part in the answer: it is proved on both


@dataclass(frozen=True, slots=True)
class Proof:
    """A test that bears a row's number."""

    path: str
    name: str


OPEN: dict[int, str] = {}

ROWS: dict[int, Row] = {
    1: Row(
        "Markup, event handlers and template expressions in a message",
        "Shown as the letters that they are, wherever a message can be read; nothing runs, nothing foreign is "
        "asked for, no rule of the policy is broken.",
        stored=True,
    ),
    2: Row(
        "The same in a buyer's name, an item's title, a chat's id, in headers of a delivery",
        "As above, in every page for operators and administrators.",
        stored=True,
    ),
    3: Row(
        "The end of a script, the begin of a comment, a line separator (U+2028) where a page might carry data "
        "for scripts",
        "No page holds a script or a block of data; attributes are escaped, everything else is fetched.",
        stored=True,
    ),
    4: Row(
        "Links that would run (`javascript:`, `data:`, `vbscript:`), open programs or files, written with "
        "tabs, control characters and capitals",
        "No link: only http and https are ever one, taken apart and built anew.",
    ),
    5: Row(
        "Links in disguise: a trusted name before an `@`, mixed alphabets, turned text",
        "The true host is shown, the link says that it leads out of here, and hands on neither page nor window.",
    ),
    6: Row(
        "Addresses of pictures at trackers or in the private network",
        "No browser of ours asks anybody but us, and we do not fetch it.",
        stored=True,
    ),
    7: Row(
        "A request to our pictures for another host, or with a forged address",
        "404 or a refusal before any connection: an address carries our signature over exactly what it "
        "serves and the day on which it was given out, and holds for two days more; a session and the right to "
        "see the chat are asked for each time.",
        stored=True,
    ),
    8: Row(
        "A page, a drawing (SVG), a PDF or two formats in one, called a picture",
        "Refused, or decoded and encoded anew as a picture that can do nothing.",
        stored=True,
    ),
    9: Row(
        "Pictures of absurd sizes, endless or dripping answers",
        "Given up at limits of pixels, bytes and seconds; what operators attach is decoded in a process of "
        "limited memory.",
    ),
    10: Row(
        "This machine as the URL to check, in every spelling of a loopback address",
        "Refused: the address that comes out of it is what counts.",
    ),
    11: Row(
        "Cloud metadata, carrier networks, multicast, IPv4 packed into IPv6",
        "Refused by our own lists.",
    ),
    12: Row(
        "A name that leads to a private address, also to one of several, or only the second time; a redirect to one",
        "One look-up, every address checked, the connection goes to the one that was checked; redirects are answers.",
    ),
    13: Row(
        "Backslashes, users, control characters, odd ports and schemes in a URL",
        "Refused in words; bodies of answers are never shown; a few checks a minute, by administrators.",
    ),
    14: Row(
        "A well-formed forgery on the address without a secret",
        "200 and a note; nobody sees it unless Avito's own API says the same. 404 where that address is switched off.",
        stored=True,
    ),
    15: Row(
        "Wrong, short, long, encoded or differently cased secrets in the path",
        "The same 404, to the byte.",
    ),
    16: Row(
        "Signature headers that are missing, too long, doubled, no hex, not ASCII",
        "No failure; the delivery is kept as any other.",
    ),
    17: Row(
        "A delivery once more, at once and a month later",
        "200, and nothing happens a second time.",
        stored=True,
    ),
    18: Row(
        "An old event after a newer one",
        "What was known does not go back.",
        stored=True,
    ),
    19: Row(
        "Account A's secret with a body about account B",
        "Kept with A and marked; B's chats know nothing of it.",
        stored=True,
    ),
    20: Row(
        "GET, HEAD, PUT, OPTIONS, TRACE on the webhook",
        "GET and HEAD say that it is there, and nothing else; the others get 405 with what is allowed.",
    ),
    21: Row(
        "Other content types, none, UTF-16, a byte order mark, Avito's own empty probe",
        "Kept as bytes and answered 200; read as UTF-8 or put into quarantine.",
        stored=True,
    ),
    22: Row(
        "Brackets without end",
        "Kept, then quarantined; no stack runs out.",
        stored=True,
    ),
    23: Row(
        "Numbers that fit nowhere, NaN, true for an id",
        "Refused by field or kept as digits, never rounded.",
        stored=True,
    ),
    24: Row(
        "Keys twice, a million keys, null, a list, nothing at all",
        "The last key counts and is told; what is no object is quarantined; an empty body is a probe.",
        stored=True,
    ),
    25: Row(
        "Half characters, NUL, zero width, turned text, towers of marks",
        "The same on both databases, replaced where it cannot be kept, made visible where it would hide.",
        stored=True,
    ),
    26: Row(
        "Times of the year 1970, 9999, in other units, negative",
        "Bounded and marked: no chat stays on top for ever.",
        stored=True,
    ),
    27: Row(
        "Compressed bodies",
        "415: nothing is unpacked.",
    ),
    28: Row(
        "Bodies too long, lying or endless lengths",
        "413 after the first byte too many, 408 when they stop coming.",
    ),
    29: Row(
        "Two lengths, length and chunks, bare line feeds, NUL in a header, no Host",
        "400.",
    ),
    30: Row(
        "Thousands of clients that send or read as slowly as they can",
        "Let go within seconds; deliveries are answered as ever.",
    ),
    31: Row(
        "Forged forwarding headers",
        "Believed from the configured proxies alone, the rightmost foreign hop; neither `*` nor a network of everybody "
        "can be configured. The allow-list goes by that address.",
    ),
    32: Row(
        "A foreign Host, also forwarded",
        "421; links carry the configured address.",
    ),
    33: Row(
        "Addresses of other sites as the page to go to after signing in",
        "The front page.",
    ),
    34: Row(
        "Line breaks and NUL in whatever could become a header",
        "Refused or encoded: no answer has a header that we did not write.",
    ),
    35: Row(
        "Line breaks and terminal codes in whatever is logged",
        "One line of JSON, escaped.",
    ),
    36: Row(
        "Passwords guessed at one login from many addresses, at many logins from one",
        "Ever longer waits, nobody locked out; hashing has a short queue of its own.",
        stored=True,
    ),
    37: Row(
        "Logins that exist and that do not",
        "The same words and the same work.",
        stored=True,
    ),
    38: Row(
        "Passwords too short, too long, too common, with any character in them",
        "Judged by length and by what is guessed first; every byte counts.",
    ),
    39: Row(
        "A one-time link used twice, too late, after another one, guessed",
        "Works once and within its hour, kept as a hash, ends all sessions; nobody chooses another one's password.",
        stored=True,
    ),
    40: Row(
        "A session cookie planted before signing in, or used after its end",
        "A new one at each sign-in; the old one is over at once, with its streams.",
        stored=True,
    ),
    41: Row(
        "The session cookie itself",
        "Out of scripts' reach, HTTPS where there is any, random, kept as a hash, over when idle and in any case.",
        stored=True,
    ),
    42: Row(
        "Requests that another site makes a browser send",
        "403 without the page's token or from another origin; the API takes JSON only.",
    ),
    43: Row(
        "The stream, asked for by another site or by somebody who may not see the chat",
        "403; each listener is told of the accounts in his sight and of no other.",
    ),
    44: Row(
        "Every route by every role, also those who would raise themselves",
        "What the table says, and nothing that it does not name.",
    ),
    45: Row(
        "Ids of chats, messages, files, notes of accounts that one may not see",
        "The same answer as for what does not exist.",
        stored=True,
    ),
    46: Row(
        "The last super administrator removes himself, two at once each other",
        "One stays.",
        stored=True,
    ),
    47: Row(
        "The signs of SQL and of full-text search in words, filters, cursors",
        "Parameters, or a refusal; never a database's error.",
        stored=True,
    ),
    48: Row(
        "Absurd limits, deep or forged cursors, questions that cost",
        "Bounded in length and seconds; a cursor can name a place and nothing else.",
        stored=True,
    ),
    49: Row(
        "Formulas in what is exported for a spreadsheet",
        "Text.",
    ),
    50: Row(
        "The search for secrets in exports, backups, bundles, metrics, logs, pages of errors",
        "None are there.",
        stored=True,
    ),
    51: Row(
        "`/.env`, `/.git`, `/docs`, `/metrics`, ways out of the folder of files",
        "404.",
    ),
    52: Row(
        "A failure inside",
        "A number to look up, and nothing of the inside.",
    ),
    53: Row(
        "Pages for one person behind a cache for many",
        "`no-store`, private, varying by cookie.",
    ),
    54: Row(
        "Frames, sniffed types, foreign scripts, the address handed on",
        "Forbidden by headers on every answer, errors too.",
    ),
    55: Row(
        "Drawings, bombs, paths and positions in what operators attach",
        "Known by content, drawn anew under a name of ours, within a quota.",
    ),
    56: Row(
        "Answers of a compromised API: redirects, pages without end, tokens with line breaks, foreign data",
        "Not followed, cut, refused; what comes is only ever the asking account's.",
        stored=True,
    ),
    57: Row(
        "A quarter of a megabyte in the journal, a hundred presses on one button, a forgery taken up again",
        "Cut and shown as text; counted once and paced; asked about at Avito again.",
        stored=True,
    ),
    58: Row(
        "A flood of forged chats that would use up Avito's limit",
        "A budget of its own, which leaves the rest alone.",
        stored=True,
    ),
    59: Row(
        "A careless configuration: secrets that all can read, no HTTPS, a set-up page for whoever comes first",
        "Refused or said aloud; the set-up needs a link from the console.",
    ),
    60: Row(
        "A dependency that is not what it was, or runs code when it is installed",
        "Everything is locked by hash, nothing is built, nothing comes from another index or a CDN; each "
        "release is listed.",
    ),
}


@cache
def proofs() -> dict[int, list[Proof]]:
    """By row, in the order of the files. Read from the sources, so that it knows of tests that were not collected."""
    found: dict[int, list[Proof]] = {number: [] for number in ROWS}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        source = path.read_text()
        if "mark.row(" not in source:
            continue
        for name, number in _marked(ast.parse(source)):
            found.setdefault(number, []).append(Proof(str(path.relative_to(ROOT)), name))
    return found


def _marked(module: ast.Module) -> Iterator[tuple[str, int]]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.row":
                    yield from ((node.name, ast.literal_eval(argument)) for argument in decorator.args)
