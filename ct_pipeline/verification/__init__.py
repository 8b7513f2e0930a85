"""Does this mailbox exist? The SMTP conversation, from planning to recorded reply."""
