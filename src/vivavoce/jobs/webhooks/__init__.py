"""Tell other servers what became of a job, in the form of Standard Webhooks."""

from vivavoce.jobs.webhooks.hosts import Hosts
from vivavoce.jobs.webhooks.messages import Message, Webhook, check_secret, signed_headers
from vivavoce.jobs.webhooks.sending import WAITS_S, Outbox, Webhooks

__all__ = [
    "WAITS_S", "Hosts", "Message", "Outbox", "Webhook", "Webhooks", "check_secret",
    "signed_headers",
]  # fmt: skip
