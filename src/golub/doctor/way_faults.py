"""What may be wrong on the way from Avito to us, with the lines for nginx, Caddy and what else people have there.

Places: `host` and `url` of the public address, `port` that Golub listens on, `address` that something was seen at.
"""

from golub.doctor.finding import N_, Check, Lines, warning, wrong

_NO_WEBHOOK = N_("Avito cannot call Golub: messages come by polling, some minutes late.")
_SECRET_SEEN = N_("Avito may refuse the address, and the secret in it can be read on the way.")

_CADDY = Lines("Caddyfile", "{host} {\n\treverse_proxy 127.0.0.1:{port}\n}")
_NGINX = Lines(
    "nginx",
    "server {\n    listen 443 ssl;\n    server_name {host};\n"
    "    ssl_certificate     /etc/letsencrypt/live/{host}/fullchain.pem;\n"
    "    ssl_certificate_key /etc/letsencrypt/live/{host}/privkey.pem;\n"
    "    location / {\n        proxy_pass http://127.0.0.1:{port};\n        proxy_set_header Host $host;\n"
    "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n        proxy_buffering off;\n    }\n}",
)
_NGINX_PLACE = Lines(
    "nginx",
    "location / {\n    proxy_pass http://127.0.0.1:{port};\n    proxy_set_header Host $host;\n"
    "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n    proxy_buffering off;\n}",
)
_CERTBOT = Lines("shell", "certbot --nginx -d {host}")
_RENEW = Lines("shell", "certbot renew --force-renewal --cert-name {host} && systemctl reload nginx")
_PUBLIC_URL = Lines("setting", "GOLUB_PUBLIC_URL=https://golub.example.ru")

# Of each: what is wrong, what it costs, the fix, and what to copy or where to go for it.
# fmt: off
NO_PUBLIC_URL = wrong("no_public_url", Check.PUBLIC_URL,
    N_("Golub does not know the address under which the world reaches it."), _NO_WEBHOOK,
    N_("Set the address, and start Golub again. The guide's step 1 tells more."), _PUBLIC_URL, page="/guide")
HTTP_URL = wrong("http_url", Check.PUBLIC_URL,
    N_("The public address begins with http://, without encryption."), _SECRET_SEEN,
    N_("Put a proxy with a certificate before Golub (Caddy gets one by itself), and set the address with https://."),
    _CADDY, Lines("setting", "GOLUB_PUBLIC_URL=https://{host}"))
UNFIT_URL = wrong("unfit_url", Check.PUBLIC_URL,
    N_("The public address cannot be a webhook's: {reason}"), _NO_WEBHOOK,
    N_("Set the name known to the internet, with https:// and without a port, and start Golub again."), _PUBLIC_URL)
NAME_NOWHERE = wrong("name_nowhere", Check.NAME,
    N_("The name {host} leads nowhere."), _NO_WEBHOOK,
    N_("Make an A record for the name at your domain's registrar, with this server's public address. It may take an "
       "hour to be seen everywhere. Is the domain paid for?"), Lines("shell", "dig +short {host} @8.8.8.8"))
NAME_PRIVATE = wrong("name_private", Check.NAME,
    N_("The name {host} leads to {address}, an address inside a private network."),
    N_("From the internet nobody gets there, and Avito cannot call Golub."),
    N_("If a public DNS says the same, put the public address of your router or server into the A record. If it says "
       "another one, only this machine is led astray: look into its /etc/hosts and the router's DNS."),
    Lines("shell", "dig +short {host} @8.8.8.8\ngrep {host} /etc/hosts"))
NAME_PRIVATE_HERE = warning("name_private_here", Check.NAME,
    N_("From this machine the name {host} leads to {address}, an address inside your own network. Deliveries do come "
       "from outside."),
    N_("The doctor does not call private addresses, so it cannot look at the certificate and the proxy."),
    N_("Nothing needs mending. To let the doctor look, take the name out of /etc/hosts or the router's DNS."),
    Lines("shell", "grep {host} /etc/hosts"))
PORT_REFUSED = wrong("port_refused", Check.PORT,
    N_("Port 443 at {address} is closed: the connection is refused."), _NO_WEBHOOK,
    N_("Start the proxy that has the certificate. At home the router must also forward port 443 to this machine."),
    Lines("shell", "systemctl status caddy nginx\nss -ltnp 'sport = :443'"), _CADDY)
PORT_SILENT = wrong("port_silent", Check.PORT,
    N_("Port 443 at {address} does not answer: something on the way swallows the connection."), _NO_WEBHOOK,
    N_("Open port 443 in the firewall of the server and of the hoster. At home: forward it in the router, and ask the "
       "provider whether you have a public address of your own (behind CGNAT you do not; a small rented server or a "
       "tunnel helps)."),
    Lines("shell", "ufw allow 443/tcp\nfirewall-cmd --permanent --add-service=https && firewall-cmd --reload"))
PORT_NO_WAY = wrong("port_no_way", Check.PORT,
    N_("This machine has no way to {address}."), _NO_WEBHOOK,
    N_("Is the address in the name's A record still this server's? Compare the two."),
    Lines("shell", "dig +short {host} @8.8.8.8\nip -brief address"))
PORT_NO_LOOP = warning("port_no_loop", Check.PORT,
    N_("Port 443 at {address} does not answer from this machine, though deliveries come from outside."),
    N_("Most home routers do not lead back in. Messages arrive; the doctor cannot look at certificate and proxy."),
    N_("Switch on “NAT loopback” (hairpin NAT) in the router if you want to check from here, or run the command on a "
       "machine elsewhere."), Lines("shell", "curl --connect-timeout 2 {url} -i -d '{}'"))
HTTP_ONLY = wrong("http_only", Check.PORT,
    N_("Port 443 at {address} is closed and port 80 is open: there is HTTP, and no HTTPS."),
    N_("Avito calls HTTPS only: no webhook comes, and passwords of operators go over the wire readable."),
    N_("Get a certificate: Caddy does it by itself, for nginx there is certbot."), _CADDY,
    Lines("shell", "apt install certbot python3-certbot-nginx && certbot --nginx -d {host}"))
ONE_ADDRESS_DEAD = warning("one_address_dead", Check.PORT,
    N_("The name {host} has several addresses, and {address} does not answer on port 443."),
    N_("Whoever takes that address gets no connection: some webhooks may be lost, and Golub fetches them late."),
    N_("Take that address out of the DNS (an AAAA record is often forgotten), or let the proxy listen there too."),
    Lines("nginx", "listen 443 ssl;\nlisten [::]:443 ssl;"))
TLS_PLAIN = wrong("tls_plain", Check.TLS,
    N_("Port 443 is open, but speaks without encryption."), _NO_WEBHOOK,
    N_("In nginx “ssl” is missing after “listen 443”. Golub itself speaks no HTTPS: port 443 must lead to the proxy, "
       "not to Golub's own port."), _NGINX)
TLS_OLD = wrong("tls_old", Check.TLS,
    N_("The server offers only encryption older than TLS 1.2."), N_("Avito and browsers refuse to connect."),
    N_("Allow TLS 1.2 and 1.3."), Lines("nginx", "ssl_protocols TLSv1.2 TLSv1.3;"))
TLS_BROKEN = wrong("tls_broken", Check.TLS,
    N_("The encrypted connection breaks off before it stands."), _NO_WEBHOOK,
    N_("Most often the proxy has no certificate for this name yet. Its log tells why; Let's Encrypt needs port 80 or "
       "443 open from outside."), Lines("shell", "journalctl -u caddy -u nginx -n 50"))
CHAIN_INCOMPLETE = wrong("chain_incomplete", Check.CHAIN,
    N_("The certificate is of {issuer}, and the server does not send the one between: the chain is incomplete."),
    N_("Browsers often get over that, Avito does not: no webhook comes."),
    N_("Give nginx the file with the whole chain, fullchain.pem and not cert.pem. With a bought certificate, append "
       "the intermediate one to your own."),
    Lines("nginx", "ssl_certificate /etc/letsencrypt/live/{host}/fullchain.pem;"),
    Lines("shell", "cat your.crt intermediate.crt > fullchain.crt"))
SELF_SIGNED = wrong("self_signed", Check.CHAIN,
    N_("The certificate was made by the server itself; nobody vouches for it."), _NO_WEBHOOK,
    N_("Get one from a public authority. Caddy does it by itself; for nginx there is certbot."), _CADDY, _CERTBOT)
CHAIN_EXPIRED = wrong("chain_expired", Check.CHAIN,
    N_("The certificate itself is valid, but one above it has run out."), _NO_WEBHOOK,
    N_("Renew the certificate, so that the whole chain is a new one."), _RENEW)
CHAIN_DISTRUSTED = wrong("chain_distrusted", Check.CHAIN,
    N_("The certificate of {issuer} is not trusted here."), _NO_WEBHOOK,
    N_("Take a certificate of an authority that everybody trusts, such as Let's Encrypt."), _CADDY, _CERTBOT)
WRONG_NAME = wrong("wrong_name", Check.CERTIFICATE_NAME,
    N_("The certificate is for {names}, not for {host}."), _NO_WEBHOOK,
    N_("Get a certificate for this very name, or set the public address to the name that the certificate has."),
    _CERTBOT, _CADDY)
EXPIRED = wrong("expired", Check.EXPIRY,
    N_("The certificate ran out on {date}."), _NO_WEBHOOK,
    N_("Renew it, and see why that did not happen by itself: port 80 closed, or the timer switched off."), _RENEW,
    Lines("shell", "systemctl enable --now certbot.timer"))
NOT_YET_VALID = wrong("not_yet_valid", Check.EXPIRY,
    N_("The certificate is valid only from {date}."), _NO_WEBHOOK,
    N_("Look at the server's clock; if it is right, get a new certificate."),
    Lines("shell", "timedatectl set-ntp true"))
EXPIRES_SOON = warning("expires_soon", Check.EXPIRY,
    N_("The certificate runs out on {date}, in {days} days, and was not renewed yet."),
    N_("From that day on Avito cannot call Golub."),
    N_("Certificates are renewed a month before. See why this one was not: port 80 closed, or the timer switched off."),
    Lines("shell", "certbot renew --dry-run\nsystemctl enable --now certbot.timer"))
NO_REDIRECT = warning("no_redirect", Check.REDIRECT,
    N_("http://{host} answers without leading to https:// (HTTP {status})."),
    N_("Whoever types the address without https:// sends his password readable over the wire."),
    N_("Let the proxy redirect everything on port 80. Caddy does it by itself."),
    Lines("nginx", "server {\n    listen 80;\n    server_name {host};\n    return 301 https://$host$request_uri;\n}"))
NO_ANSWER = wrong("no_answer", Check.GREETING,
    N_("The webhook's address did not answer within {seconds} seconds."),
    N_("Avito waits two seconds, then the webhook counts as lost."),
    N_("Does the proxy lead to Golub's port? Is the machine overloaded?"), _NGINX_PLACE, _CADDY)
BROKEN_OFF = wrong("broken_off", Check.GREETING,
    N_("The connection was closed without an answer."), _NO_WEBHOOK,
    N_("The proxy's error log tells why. “return 444” in nginx, or a filter of the hoster, does that."),
    Lines("shell", "tail -n 50 /var/log/nginx/error.log"))
SLOW = wrong("slow", Check.PROBE,
    N_("The webhook's address answers after {ms} ms; Avito waits 2000."),
    N_("Avito counts such webhooks as lost. Golub fetches the messages late."),
    N_("Golub itself answers within milliseconds: what is slow stands before it. Look at the proxy's load, filters and "
       "rate limits, at a VPN or tunnel on the way, and at “limit_req” without “nodelay” in nginx."), _NGINX_PLACE)
REDIRECTED = wrong("redirected", Check.PROBE,
    N_("The webhook's address sends the caller on to {location} (HTTP {status})."),
    N_("Avito follows no redirect: no webhook comes."),
    N_("Set the public address to the one that is led to, or take the rule (www, slash at the end, sign-in) out of the "
       "proxy for /webhook/avito. Then register the webhook again."), _NGINX_PLACE, page="/admin/webhooks")
PASSWORD_ASKED = wrong("password_asked", Check.PROBE,
    N_("The proxy asks for a password before the webhook's address (HTTP {status})."), _NO_WEBHOOK,
    N_("Let /webhook/avito through without a password; Golub has its own sign-in for everything else."),
    Lines("nginx", "location /webhook/avito {\n    auth_basic off;\n    proxy_pass http://127.0.0.1:{port};\n"
              "    proxy_set_header Host $host;\n    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n}"),
    Lines("Caddyfile", "@people not path /webhook/avito /webhook/avito/*\nbasic_auth @people {\n\t…\n}"))
FORBIDDEN = wrong("forbidden", Check.PROBE,
    N_("Something before Golub refuses the call (HTTP {status})."), _NO_WEBHOOK,
    N_("Look for “deny”, a list of allowed addresses or countries, a filter (WAF) or fail2ban, and except "
       "/webhook/avito from it. Avito publishes no addresses for the messenger."),
    Lines("nginx", "location /webhook/avito {\n    allow all;\n    proxy_pass http://127.0.0.1:{port};\n}"))
CDN_BLOCKS = wrong("cdn_blocks", Check.PROBE,
    N_("Cloudflare takes the caller for a robot and does not let him through (HTTP {status})."),
    N_("Avito is a robot: no webhook comes."),
    N_("In Cloudflare: Security → WAF → Custom rules → a rule with the action “Skip” for the path /webhook/avito; "
       "“Bot Fight Mode” off. Or switch the cloud of the name to grey."),
    Lines("Cloudflare", 'starts_with(http.request.uri.path, "/webhook/avito")'))
TOO_MANY = wrong("too_many", Check.PROBE,
    N_("The call is refused as one too many (HTTP 429)."),
    N_("In a busy hour Avito's calls would be refused as well."),
    N_("Take /webhook/avito out of the proxy's rate limit; the guide tells how much Golub itself takes on the address "
       "without a secret."), Lines("nginx", "location /webhook/avito {\n    proxy_pass http://127.0.0.1:{port};\n}"),
    page="/guide")
NOT_FORWARDED = wrong("not_forwarded", Check.PROBE,
    N_("There is no such page at the webhook's address (HTTP 404), and it is not Golub that says so."), _NO_WEBHOOK,
    N_("The proxy must hand every path to Golub as it is. In nginx no path may stand behind “proxy_pass”, or it is "
       "cut off; and “server_name” must be this name."), _NGINX_PLACE, _CADDY)
NOT_KNOWN = wrong("not_known", Check.PROBE,
    N_("Golub itself says that it does not know this address (HTTP 404)."), _NO_WEBHOOK,
    N_("Register the webhook again; if it is the address without a secret, allow it with GOLUB_BARE_PATH."),
    Lines("setting", "GOLUB_BARE_PATH=true"), page="/admin/webhooks")
METHOD_REFUSED = wrong("method_refused", Check.PROBE,
    N_("The proxy does not let this method through (HTTP 405)."), N_("Avito calls with POST: no webhook comes."),
    N_("Take “limit_except” away from the proxy's place for /webhook/avito, and see that the path leads to Golub and "
       "not to files."), _NGINX_PLACE)
PROXY_ALONE = wrong("proxy_alone", Check.PROBE,
    N_("The proxy does not get through to Golub (HTTP {status})."), _NO_WEBHOOK,
    N_("Does Golub run, and on the port that the proxy names? In Docker the proxy must use the container's name in the "
       "place of 127.0.0.1; where SELinux is on, the proxy needs leave to connect."),
    Lines("shell", "systemctl status golub\nss -ltnp 'sport = :{port}'\nsetsebool -P httpd_can_network_connect 1"),
    _NGINX_PLACE)
CANNOT_STORE = wrong("cannot_store", Check.PROBE,
    N_("Golub answers that it cannot store deliveries now (HTTP 503)."),
    N_("Nothing is taken until that is mended. Avito may try again; the sweep fetches the rest."),
    N_("Make room on the disk and look into the log; what stands above this line says more."),
    Lines("shell", "df -h {folder}\ntail -n 50 {folder}/logs/app.log"))
FAILS = wrong("fails", Check.PROBE,
    N_("The webhook's address answers HTTP {status}; Avito wants 200."), N_("Avito counts such webhooks as lost."),
    N_("Does the name lead to this server and the proxy to Golub? The proxy's log tells where the answer comes from."),
    _NGINX_PLACE, Lines("shell", "tail -n 50 /var/log/nginx/error.log"))
NOT_OURS = wrong("not_ours", Check.PROBE,
    N_("Something answers 200 at the webhook's address, but it is not Golub ({kind})."),
    N_("Avito believes that all is well, and its messages go nowhere. Golub fetches them late."),
    N_("A parked domain, the hoster's start page or another site stands there. Point the name to this server, and in "
       "the proxy let the whole name lead to Golub."), _NGINX, _CADDY)
NOT_HERE = wrong("not_here", Check.ARRIVAL,
    N_("A Golub answered 200, but the mark did not arrive in this one."),
    N_("Avito's messages go to another Golub: an old server, a test machine, a copy."),
    N_("Compare the name's address with this server's, and the port in the proxy with Golub's. Stop the other one."),
    Lines("shell", "dig +short {host} @8.8.8.8\nip -brief address\npgrep -af 'golub serve'"))
BODY_STRIPPED = wrong("body_stripped", Check.BODY,
    N_("The proxy swallows the body: what arrived is empty."),
    N_("Every message of Avito arrives without its text, and is taken for a probe."),
    N_("Take “proxy_pass_request_body off”, “proxy_method GET” and rules that rewrite POST out of the place for "
       "/webhook/avito. A redirect on the way also turns POST into an empty GET."), _NGINX_PLACE)
BODY_REWRITTEN = wrong("body_rewritten", Check.BODY,
    N_("Something on the way changes the body: {sent} bytes were sent, {got} others arrived."),
    N_("The signature of a changed body fits nothing, and messages may be damaged."),
    N_("Switch off what “optimises”, translates or filters content for /webhook/avito (a WAF, an application gateway, "
       "nginx with njs or lua)."), _NGINX_PLACE)
HEADERS_STRIPPED = warning("headers_stripped", Check.BODY,
    N_("The proxy does not hand on the header {header}."),
    N_("Avito's signature cannot be looked at, and whoever gets deliveries forwarded may refuse them."),
    N_("Take “proxy_pass_request_headers off” or the list of allowed headers away."), _NGINX_PLACE)
ADDRESS_HIDDEN = wrong("address_hidden", Check.CLIENT_ADDRESS,
    N_("The proxy does not say who called: every request seems to come from {address}."),
    N_("Wrong passwords of one stranger slow down everybody, and the journal cannot tell Avito from a forger."),
    N_("Let the proxy send X-Forwarded-For. Caddy does it by itself."),
    Lines("nginx", "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"),
    Lines("Apache", "ProxyAddHeaders On"))
PROXY_UNTRUSTED = wrong("proxy_untrusted", Check.CLIENT_ADDRESS,
    N_("The proxy says who called, but Golub does not believe it: {address} is not among the trusted proxies."),
    N_("Every request seems to come from the proxy: wrong passwords of one stranger slow down everybody."),
    N_("Add the proxy's network (in Docker that of the containers) to the setting, and start Golub again."),
    Lines("setting", "GOLUB_TRUSTED_PROXIES=127.0.0.0/8,::1/128,{network}"))
CDN_HIDES = warning("cdn_hides", Check.CLIENT_ADDRESS,
    N_("Behind the CDN every request seems to come from its address, {address}."),
    N_("Wrong passwords of one stranger slow down everybody who comes by the same node of the CDN."),
    N_("Let nginx take the caller from the CDN's header, with a line for each of its networks (cloudflare.com/ips)."),
    Lines("nginx", "real_ip_header CF-Connecting-IP;\nset_real_ip_from 173.245.48.0/20;\n…"),
    Lines("Caddyfile", "{\n\tservers {\n\t\ttrusted_proxies static 173.245.48.0/20 …\n"
           "\t\tclient_ip_headers CF-Connecting-IP\n\t}\n}"))
