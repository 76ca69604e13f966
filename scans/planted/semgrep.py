"""What each rule of `semgrep.yaml` must find, and what it must leave alone. Nobody imports this."""


def secrets_that_travel(vault, account, log, by, session, settings, request):
    secret = vault.open(account.client_secret)
    told = f"the secret is {secret}"
    # ruleid: secret-into-log
    log.warning("refused", reason=told)
    # ok: secret-into-log
    log.warning("refused", length=len(secret))
    # ruleid: secret-into-audit
    by.did(session, "keys_changed", account.name, after={"was": secret})
    # ruleid: secret-into-page
    render(request, "account.html", told=told)
    # ok: secret-into-page
    render(request, "account.html", told=mask(secret))
    # ruleid: secret-into-command
    subprocess.run(["curl", "-u", secret])
    if not account.works:
        # ruleid: secret-into-error
        raise Rejected(told)
    # ok: secret-into-error
    raise Rejected("Avito refuses this key.")


def requests_that_travel(request, session, connection):
    named = request.query_params["name"]
    # ruleid: request-into-path
    found = Path("/srv") / Path(named)
    # ok: request-into-path
    found = Path("/srv") / Path(str(int(named)))
    # ruleid: request-into-statement
    session.execute(text("SELECT * FROM chats WHERE name = '" + named + "'"))
    # ok: request-into-statement
    session.execute(text("SELECT * FROM chats WHERE name = :name"), {"name": named})
    # ruleid: request-into-call
    httpx2.get(named)
    # ruleid: request-into-markup
    shown = Markup(named)
    # ok: request-into-markup
    shown = Markup(escape(named))
    # ok: request-into-redirect
    RedirectResponse(safe_next(named))
    # ruleid: request-into-redirect
    return RedirectResponse(named)


async def words_that_travel(log, message, store, avito):
    said = message.text.strip()
    # ruleid: words-into-log
    log.info("a message came", said=said)
    # ok: words-into-log
    log.info("a message came", length=len(message.text))
    async with store.write() as session:
        # ruleid: network-in-a-transaction
        await avito.send(said)
    # ok: network-in-a-transaction
    await avito.send(said)
