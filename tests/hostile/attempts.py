"""Attempts to break in that are in no row of the threat model: who tries what with which request, and what he gets.

`test_break_in.py` makes each of them against a whole Golub, and `docs/security-review.md` lists them.
"""

from dataclasses import dataclass, field

OUTSIDER, BUYER, MANAGER, ADMIN = "outsider", "buyer", "manager", "admin"


@dataclass(frozen=True, slots=True)
class Attempt:
    """`{chat}` and its like are put in by the scene. `token`: what is sent as the page's token, his own by default."""

    who: str
    tries: str
    request: str  # method and path
    gets: tuple[int, ...]
    form: dict[str, str] = field(default_factory=dict[str, str])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    token: str | None = None
    shows: str = ""  # what the answer must hold
    hides: str = ""  # what it must not

    @property
    def line(self) -> str:
        sent = [f"`{self.request}`"]
        sent += [f"`{name}: {value[:60]}`" for name, value in self.headers.items()]
        sent += ["`" + "&".join(f"{name}={value[:60]}" for name, value in self.form.items()) + "`"] if self.form else []
        sent += [f"{len(self.body)} bytes of body"] if self.body else []
        cells = (self.who, self.tries, ", ".join(sent).replace("|", "\\|"), " or ".join(map(str, self.gets)))
        plain = "".join(one if one.isprintable() else repr(one)[1:-1] for one in " | ".join(cells))
        return f"| {plain} |"


SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"

ATTEMPTS = (
    Attempt(OUTSIDER, "the hash of an open session for its secret", "GET /inbox", (303,), headers={"Cookie": "session={hash}"}),
    Attempt(OUTSIDER, "a session's form token for its secret", "GET /inbox", (303,), headers={"Cookie": "session={csrf}"}),
    Attempt(OUTSIDER, "a cookie of 8 KB", "GET /inbox", (303,), headers={"Cookie": "session=" + "x" * 8000}),
    Attempt(OUTSIDER, "two session cookies, the good one not his", "GET /inbox", (303,), headers={"Cookie": "session=; session=x"}),
    Attempt(OUTSIDER, "another path for the proxy's rules", "GET /", (303,), headers={"X-Original-URL": "/admin/operators", "X-Rewrite-URL": "/admin/operators"}),
    Attempt(OUTSIDER, "a user that a proxy has let in", "GET /admin/operators", (303,), headers={"X-Remote-User": "boss", "X-Forwarded-User": "boss"}),
    Attempt(OUTSIDER, "another method under a harmless one", "POST /sign-in", (403,), headers={"X-HTTP-Method-Override": "DELETE"}, token=""),
    Attempt(OUTSIDER, "capitals past the table of routes", "GET /ADMIN/operators", (404,)),
    Attempt(OUTSIDER, "a slash past the table of routes", "GET /admin/operators/", (404,)),
    Attempt(OUTSIDER, "an encoded slash", "GET /admin%2foperators", (404, 303)),
    Attempt(OUTSIDER, "two encoded slashes, to be led to another host", "GET /%2f%2fevil.example/inbox", (404,)),
    Attempt(OUTSIDER, "a semicolon past the table of routes", "GET /admin/operators;x=1", (404,)),
    Attempt(OUTSIDER, "from the webhook's path into the pages", "GET /webhook/avito/..%2f..%2finbox", (404,)),
    Attempt(OUTSIDER, "methods that no page has", "OPTIONS /admin/operators", (405, 303)),
    Attempt(OUTSIDER, "a file by NUL", "GET /static/inbox.js%00.html", (404,)),
    Attempt(OUTSIDER, "a file by backslashes", "GET /static/..%5c..%5capp.py", (404,)),
    Attempt(OUTSIDER, "a file by its absolute path", "GET /static//etc/passwd", (404,)),
    Attempt(OUTSIDER, "a thousand ranges of one file", "GET /static/inbox.js", (200, 206, 400, 416), headers={"Range": "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(0, 2000, 2))}),
    Attempt(OUTSIDER, "metrics under this machine's own name", "GET /metrics", (404,), headers={"Host": "localhost"}),
    Attempt(OUTSIDER, "metrics from a made-up address of this machine", "GET /metrics", (404,), headers={"Host": "localhost", "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}),
    Attempt(OUTSIDER, "metrics with an empty token", "GET /metrics", (404,), headers={"Authorization": "Bearer "}),
    Attempt(OUTSIDER, "a second set-up after the first", "POST /setup/{setup}", (404, 409, 422), form={"login": "eve", "password": "three quiet words", "again": "three quiet words"}),
    Attempt(OUTSIDER, "a set-up link where one signs in", "GET /enter/{setup}", (404,)),
    Attempt(OUTSIDER, "a password link where one sets up", "GET /setup/{reset}", (404,)),
    Attempt(OUTSIDER, "a password link in capitals", "GET /password/{RESET}", (404,)),
    Attempt(OUTSIDER, "a password link with a full stop behind", "GET /password/{reset}.", (404,)),
    Attempt(OUTSIDER, "JSON where a form is expected", "POST /sign-in", (400, 403), headers={"Content-Type": "application/json"}, body=b'{"login": {"$ne": 1}, "password": {"$ne": 1}}'),
    Attempt(OUTSIDER, "a login with an invisible character", "POST /sign-in", (400, 429), form={"login": "bo\u200bss", "password": "two words and more"}),
    Attempt(OUTSIDER, "a login of SQL", "POST /sign-in", (400, 429), form={"login": "boss' or '1'='1", "password": "x"}),
    Attempt(OUTSIDER, "ten thousand fields in a form", "POST /sign-in", (400, 403, 413, 422), headers={"Content-Type": "application/x-www-form-urlencoded"}, body=b"&".join(b"f%d=1" % n for n in range(10_000))),
    Attempt(OUTSIDER, "a form of parts without an end", "POST /sign-in", (400, 403, 422), headers={"Content-Type": "multipart/form-data; boundary=x"}, body=b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 60_000),
    Attempt(OUTSIDER, "a language of ten thousand choices", "GET /sign-in", (200,), headers={"Accept-Language": ",".join(f"x{n};q=0.{n % 9}" for n in range(2000))}),
    Attempt(OUTSIDER, "the stream as a web socket", "GET /stream", (401, 303), headers={"Upgrade": "websocket", "Connection": "Upgrade", "Accept": "text/event-stream"}),
    Attempt(OUTSIDER, "the API with a password as in Basic", "GET /api/admin/webhooks", (401,), headers={"Authorization": "Basic Ym9zczp4"}),
    Attempt(OUTSIDER, "the API from a page of his own", "POST /api/admin/webhooks", (401, 403), headers={"Origin": "null", "Content-Type": "text/plain"}, body=b"{}"),
    Attempt(BUYER, "a message's text as the address of a page", "GET /inbox/search?q=%3Cscript%3Ealert(1)%3C/script%3E", (303,)),
    Attempt(BUYER, "a picture's address of his own choice", "GET /media/{zeros}/message/1/640?url=http://169.254.169.254/", (401, 303)),
    Attempt(BUYER, "a delivery in his own name, without the secret", "POST /webhook/avito", (200,), body=b'{"payload": {"type": "message", "value": {"chat_id": "u2i-forged", "user_id": 7001, "author_id": 1, "id": "f", "type": "text", "content": {"text": "FORGED"}, "created": 1790000000}}}'),
    Attempt(MANAGER, "to raise himself", "POST /admin/operators/{manager}", (403,), form={"role": "super_admin"}),
    Attempt(MANAGER, "a role among his preferences", "POST /preferences", (303,), form={"locale": "ru", "role": "super_admin", "next": "/inbox"}),
    Attempt(MANAGER, "a page of administrators, by header", "GET /admin/accounts", (403,), headers={"X-Forwarded-For": "127.0.0.1", "X-Role": "admin"}),
    Attempt(MANAGER, "the journal, by another method", "HEAD /admin/deliveries", (403, 405)),
    Attempt(MANAGER, "to invite somebody", "POST /admin/operators", (403,), form={"login": "eve", "role": "manager"}),
    Attempt(MANAGER, "the super administrator's form token", "POST /preferences", (403,), form={"locale": "en"}, token="{csrf}"),
    Attempt(MANAGER, "a chat of an account that he does not see", "GET /inbox/{theirs}", (404,), hides="тайна"),
    Attempt(MANAGER, "to answer in it", "POST /inbox/{theirs}/reply", (404,), form={"text": "Да", "client_key": "k1", "sure": "yes"}),
    Attempt(MANAGER, "to find it", "GET /inbox/search?q=тайна", (200,), hides="{theirs_name}"),
    Attempt(MANAGER, "its rows, by their ids", "GET /inbox/rows?ids={theirs}&opened={theirs}", (200,), hides="{theirs_name}"),
    Attempt(MANAGER, "it in several with one of his own", "POST /inbox/bulk", (200, 303, 400, 404, 422), form={"verb": "take", "chats": "{theirs}.0"}, hides="{theirs_name}"),
    Attempt(MANAGER, "its figures as a file", "GET /reports/csv/accounts?account={other}", (200,), hides="Тайная лавка"),
    Attempt(MANAGER, "to be seen in it", "POST /presence", (404,), form={"tab": "0123456789abcdef", "chat": "{theirs}"}),
    Attempt(MANAGER, "a colleague's note, to change it", "POST /inbox/notes/{note}", (403, 404), form={"text": "не я"}),
    Attempt(MANAGER, "a colleague's view, to remove it", "POST /inbox/views/{view}/remove", (303, 404)),
    Attempt(MANAGER, "a colleague's own quick reply", "GET /quick-replies/{quick}", (403, 404)),
    Attempt(MANAGER, "to hand a chat to nobody there is", "POST /inbox/{chat}/hand-over", (400, 404, 409, 422), form={"operator_id": "999999"}),
    Attempt(MANAGER, "to block a buyer", "POST /inbox/{chat}/block", (403,), form={"reason": "1"}),
    Attempt(MANAGER, "a file of the server as an attached photo", "GET /inbox/pictures/..%2f..%2fsecret.key", (404, 422)),
    Attempt(MANAGER, "a file of the server as an attached photo, encoded twice", "GET /inbox/pictures/%252e%252e%252fsecret.key", (404, 422)),
    Attempt(MANAGER, "a drawing with a script as a photo", "POST /inbox/{chat}/pictures", (400, 422), headers={"Content-Type": "image/png"}, body=SVG),
    Attempt(MANAGER, "the target of the reports", "POST /reports/target", (403,), form={"minutes": "1"}),
    Attempt(MANAGER, "to stop who examines", "POST /admin/doctor", (403,)),
    Attempt(MANAGER, "the API", "GET /api/admin/webhooks", (403,)),
    Attempt(MANAGER, "the audit", "GET /admin/audit", (403,)),
    Attempt(ADMIN, "to make a super administrator", "POST /admin/operators", (403,), form={"login": "eve", "role": "super_admin"}),
    Attempt(ADMIN, "a role that is none", "POST /admin/operators", (400, 422), form={"login": "eve", "role": "root"}),
    Attempt(ADMIN, "to raise himself", "POST /admin/operators/{admin}", (403, 409), form={"role": "super_admin"}),
    Attempt(ADMIN, "to lower the super administrator", "POST /admin/operators/{boss}", (403,), form={"role": "manager"}),
    Attempt(ADMIN, "to lock the super administrator out", "POST /admin/operators/{boss}", (403,), form={"active": "no"}),
    Attempt(ADMIN, "the super administrator's password link", "POST /admin/operators/{boss}/link", (403,), hides="/password/"),
    Attempt(ADMIN, "the super administrator's accounts", "POST /admin/operators/{boss}/accounts", (403, 404, 409), form={"every": ""}),
    Attempt(ADMIN, "the webhook's secret", "GET /admin/webhooks/{account}/url", (403,), hides="/webhook/avito/"),
    Attempt(ADMIN, "a channel for alerts, inside the network", "POST /admin/alerts/channels/url", (403,), form={"url": "http://169.254.169.254/"}),
    Attempt(ADMIN, "the audit", "GET /admin/audit", (403,)),
    Attempt(ADMIN, "a key with a line break", "POST /admin/accounts", (400, 422), form={"client_id": "a\r\nX-Evil: 1", "client_secret": "x"}),
    Attempt(ADMIN, "a colour that is a style", "POST /admin/labels", (400, 422), form={"name": "x", "colour": "#fff;background:url(//evil.example)"}),
    Attempt(ADMIN, "an account's colour that is a style", "POST /admin/accounts/{account}", (303, 400, 422), form={"name": "x", "colour": "red;background:url(//evil.example)"}, hides="evil.example"),
    Attempt(ADMIN, "a rule that reads the server's objects", "POST /inbox/{chat}/quick-replies/{quick}", (200, 303, 403, 404)),
    Attempt(ADMIN, "an archive by its path", "GET /admin/backups/../../secret.key", (404,)),
    Attempt(ADMIN, "to take up a delivery that is none", "POST /admin/deliveries/{zeros}/replay", (404, 422)),
    Attempt(ADMIN, "to replay an endless span", "POST /admin/replays", (303, 400, 404, 409, 422), form={"from": "0001-01-01", "to": "9999-12-31"}),
    Attempt(ADMIN, "to let the webhook repair itself", "POST /admin/accounts/{account}/self-repair", (403,), form={"on": "yes"}),
)  # fmt: skip
