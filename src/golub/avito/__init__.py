"""Avito: their API (`client`), their words (`wire`), and how we behave towards it (`auth`, `pace`, `errors`)."""
