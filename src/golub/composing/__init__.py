"""What operators write before it is sent: `drafts` that follow them to every device, and `quick_replies` that they keep
under a short name and `filling` fits to a chat. The composer relies on it; sending is the outbox's."""
