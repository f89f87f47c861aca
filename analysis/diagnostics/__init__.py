"""What a search teaches besides its winner: importance, transfer, audit, costs, curves."""

from .audit import AuditSummary, PolicyAudit, RungAudit, audit
from .costs import costs
from .importance import importance
from .learning import learning_curves
from .transfer import transfer

__all__ = [
    "AuditSummary",
    "PolicyAudit",
    "RungAudit",
    "audit",
    "costs",
    "importance",
    "learning_curves",
    "transfer",
]
