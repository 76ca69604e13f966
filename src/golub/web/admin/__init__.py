"""Pages for those who run the team's Golub: webhooks, accounts, operators."""
