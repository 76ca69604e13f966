"""What may be wrong between Avito and an account of ours.

Places: `shop`, `account_id`, and what each text names.
"""

from golub.doctor.finding import N_, Check, Lines, warning, wrong

_LATE = N_("Messages come by polling, some minutes late; none is lost.")
_NO_REPLIES = N_("Webhooks may still come, but nobody can reply from Golub.")
_WEBHOOK = "/admin/webhooks#account-{account_id}"
_NETWORKS = "/admin/webhooks/{account_id}/networks"
_ACCOUNT = "/admin/accounts/{account_id}"

# Of each: what is wrong, what it costs, the fix, and what to copy or where to go for it.
# fmt: off
NO_ACCOUNTS = warning("no_accounts", Check.ACCOUNTS,
    N_("No account is connected yet."), N_("There is nothing to receive."),
    N_("Connect a shop by its client id and secret. Avito gives them: «Для профессионалов» → «Интеграции» → «API»."),
    page="/admin/accounts")
WRONG_KEYS = wrong("wrong_keys", Check.KEYS,
    N_("Avito does not accept the keys of {shop}."), _NO_REPLIES,
    N_("Get client id and secret at Avito again («Для профессионалов» → «Интеграции» → «API») and enter them on the "
       "account's page."), page=_ACCOUNT)
SEALED_OTHERWISE = wrong("sealed_otherwise", Check.KEYS,
    N_("The keys of {shop} cannot be opened: they were sealed with another secret key."), _NO_REPLIES,
    N_("Put the right secret.key back, or enter the account's keys anew."), page=_ACCOUNT)
NOT_PAID = wrong("not_paid", Check.ACCESS,
    N_("Messenger access of {shop} is not paid at Avito (402)."), _NO_REPLIES,
    N_("Choose a plan with the messenger's API at Avito: in Goods and Jobs the top one, in Services the two upper ones "
       "(«Тарифы» in the professional's cabinet). Golub notices by itself."), page=_ACCOUNT)
NO_RIGHTS = wrong("no_rights", Check.ACCESS,
    N_("Avito knows the keys of {shop}, and refuses the messenger: {reason}"), _NO_REPLIES,
    N_("At Avito, give the application the rights messenger:read and messenger:write and make new keys, or see whether "
       "the plan includes the messenger. Then enter the keys anew."), page=_ACCOUNT)
AVITO_AWAY = wrong("avito_away", Check.AVITO,
    N_("Avito's API does not answer for {shop}: {reason}"),
    N_("Replies wait in the queue and go out by themselves; webhooks still come."),
    N_("If Avito's own site works, see whether this machine reaches the API: firewall, DNS, a proxy for the way out."),
    Lines("shell", "curl -sS -o /dev/null -w '%{http_code} %{time_total}\\n' https://api.avito.ru/token"))
NO_WEBHOOK = warning("no_webhook", Check.SUBSCRIPTION,
    N_("No webhook is registered for {shop}."), _LATE,
    N_("Register it on the page of webhooks; the address is filled in already."), page=_WEBHOOK)
FOREIGN = wrong("foreign_subscription", Check.SUBSCRIPTION,
    N_("Avito sends the messages of {shop} to another service, {service}."), _LATE,
    N_("Avito calls one service only. Give Golub its place back on the page of webhooks, and let Golub forward "
       "everything to the other one; or switch Avito off there."), page=_WEBHOOK)
MISSING = wrong("missing_subscription", Check.SUBSCRIPTION,
    N_("Avito calls nobody for {shop}: the subscription is gone."), _LATE,
    N_("Register the webhook again. If it is lost again and again, let Golub take it back by itself, on the account's "
       "page."), page=_WEBHOOK)
STALE = warning("stale_subscription", Check.SUBSCRIPTION,
    N_("For {minutes} minutes Avito has not told whom it calls for {shop}: {reason}"),
    N_("If another service takes the webhook meanwhile, nobody notices."),
    N_("It is asked again by itself every few minutes. If this lasts, look at the account."), page=_ACCOUNT)
OTHER_HOST = wrong("other_host", Check.WEBHOOK_URL,
    N_("Avito calls {called} for {shop}, and the public address is {host}."),
    N_("When the old name goes, messages stop coming at once."),
    N_("Register the webhook again with the new address; the old one stays open until that has brought a delivery."),
    page=_WEBHOOK)
BARE_URL = warning("bare_url", Check.WEBHOOK_URL,
    N_("Avito calls the address without a secret for {shop}."),
    N_("Anybody can forge a call to it, so each message waits until Avito's API has confirmed it."),
    N_("Register the webhook again with the recommended address."), page=_WEBHOOK)
DEAF = wrong("deaf", Check.DELIVERIES,
    N_("Buyers write to {shop}, and no webhook brings it."), _LATE,
    N_("If nothing above is wrong, the address is closed for Avito alone: a filter by country or address, a rate "
       "limit. Except /webhook/avito, and register the webhook again."),
    Lines("nginx", "location /webhook/avito {\n    allow all;\n    proxy_pass http://127.0.0.1:{port};\n}"),
    page=_WEBHOOK)
SILENT = warning("silent", Check.DELIVERIES,
    N_("{shop} has been silent since {since}, longer than its buyers usually are."),
    N_("Perhaps nobody writes. Golub asks Avito meanwhile, so nothing is missed."),
    N_("Write to one of the shop's items from another profile, and see whether it comes within a second."),
    page=_WEBHOOK)
LOW_COVERAGE = wrong("low_coverage", Check.COVERAGE,
    N_("In the last 24 hours the webhook brought {share} % of what buyers wrote to {shop}; {missed} messages were "
       "fetched late."), N_("Buyers wait minutes instead of seconds."),
    N_("The account's page shows when the gaps were, and why as far as Golub knows. Compare the times with the proxy's "
       "log: restarts, rate limits, answers slower than two seconds."),
    Lines("shell", "grep webhook/avito /var/log/nginx/access.log | grep -v '\" 200 ' | tail -n 50"), page=_ACCOUNT)
SOME_MISSED = warning("some_missed", Check.COVERAGE,
    N_("In the last 24 hours the webhook brought {share} % of what buyers wrote to {shop}; {missed} messages were "
       "fetched late."), N_("Some buyers waited minutes instead of seconds."),
    N_("The account's page shows when the gaps were. A restart now and then explains a few."), page=_ACCOUNT)
SENDERS_HELD_BACK = wrong("senders_held_back", Check.NETWORKS,
    N_("Avito calls for {shop} from networks that are not in its allow-list: {networks}."),
    N_("Messages from there are held back in quarantine and come in late, by the sweep."),
    N_("Add the networks to the list, then apply what is in quarantine again."), page=_NETWORKS)
SENDERS_HIDDEN = warning("senders_hidden", Check.NETWORKS,
    N_("All messages of {shop} seem to come from a private address, {networks}: a proxy hides who calls."),
    N_("Nobody can tell Avito from a forger by the address, and no allow-list can be enforced."),
    N_("Let the proxy send X-Forwarded-For and name its network in the setting, start Golub again, and count the "
       "networks anew."),
    Lines("setting", "GOLUB_TRUSTED_PROXIES=127.0.0.0/8,::1/128,{network}"), page=_NETWORKS)
SENDERS_ELSEWHERE = warning("senders_elsewhere", Check.NETWORKS,
    N_("{count} deliveries of the last day came to {shop} from outside its allow-list: {networks}."),
    N_("They were let in and marked. If the list were enforced, they would be in quarantine."),
    N_("If their messages are Avito's own, add the networks to the list. If not, somebody knows the secret address: "
       "register the webhook again with a new one."), page=_NETWORKS)
RELAY_STOPPED = wrong("relay_stopped", Check.RELAYS,
    N_("Nothing is forwarded to {service} any more; {waiting} deliveries wait."),
    N_("That service does not know of new messages."),
    N_("Look after that service, then resume it under “Forwarding”."), page=_WEBHOOK)
RELAY_FAILING = warning("relay_failing", Check.RELAYS,
    N_("Forwarding to {service} fails ({reason}); {waiting} deliveries wait."),
    N_("That service learns of new messages late."),
    N_("Golub tries again by itself. Look whether that service works and takes the address."), page=_WEBHOOK)
QUARANTINE_MUCH = wrong("quarantine_much", Check.QUARANTINE,
    N_("{count} deliveries of the last day stand in quarantine."),
    N_("Messages in them are not in the inbox, unless the sweep has fetched them."),
    N_("Look at the cause in the journal, mend it, and apply them again."),
    page="/admin/deliveries?state=quarantined")
QUARANTINE_SOME = warning("quarantine_some", Check.QUARANTINE,
    N_("{count} deliveries stand in quarantine."), N_("They are kept whole, and wait for a person."),
    N_("Look at the cause in the journal; apply them again, or discard them."),
    page="/admin/deliveries?state=quarantined")
