"""Every table, its states and its small rules; a module a noun.

The mapped classes are the domain: there is no second set of objects. A column that ends in `_at` is a time in
milliseconds UTC (`clock.Millis`); `avito_id` is the name that Avito gave. Nobody but `fold` writes chats and messages.
"""

from golub.model.accounts import (
    DEFAULT_EVENT_TYPES,
    EVENT_TYPES,
    SAMPLE_USER_ID,
    Account,
    AccountState,
    PathToken,
    SubscriptionState,
    Webhook,
)
from golub.model.acts import Act, ActKind
from golub.model.alerts import Alert, AlertChannel, ChannelKind, Notice, NoticeKind
from golub.model.allowlist import AllowList, AllowListMode, SeenNetwork
from golub.model.audit import Action, AuditEntry
from golub.model.automation import AutomaticAct, AutomaticRule, Outcome, RuleKind, RulePicture, Slot
from golub.model.care import ChatLabel, Label, SavedView
from golub.model.chats import Chat, ChatState, Direction, Message, Source
from golub.model.composing import Draft, QuickPicture, QuickReply
from golub.model.condition import Condition, Standing, standing_of
from golub.model.deliveries import Cause, Delivery, DeliveryState
from golub.model.forgetting import (
    Erasure,
    ErasureState,
    ErasureStep,
    ForgottenChat,
    ForgottenFile,
    ForgottenMessage,
)
from golub.model.nodes import AttachedPicture, Node, PaceShare, Pacing
from golub.model.notes import BuyerNote, Note
from golub.model.operators import (
    ApiKey,
    HalfSignIn,
    OneTimeLink,
    Operator,
    OperatorAccount,
    RecoveryCode,
    SecondFactor,
    Session,
    SignInFailure,
)
from golub.model.outgoing import BlockedBuyer, OutgoingKind, OutgoingMessage, OutgoingState
from golub.model.relays import Relay, RelayedDelivery, RelayedState, RelayState
from golub.model.replays import Replay, ReplayKind, ReplayState
from golub.model.signatures import SignatureLab, SignatureMode, SignatureSecret, SignatureTally
from golub.model.table import Sealed, SealedBytes, Table
from golub.model.timeline import TimelineEntry, TimelineKind
from golub.model.upkeep import KEY_CHECK, AckTally, Mark
from golub.model.waits import Wait, WaitKind
from golub.roles import Role, Scope

__all__ = [
    "DEFAULT_EVENT_TYPES",
    "EVENT_TYPES",
    "KEY_CHECK",
    "SAMPLE_USER_ID",
    "Account",
    "AccountState",
    "AckTally",
    "Act",
    "ActKind",
    "Action",
    "Alert",
    "AlertChannel",
    "AllowList",
    "AllowListMode",
    "ApiKey",
    "AttachedPicture",
    "AuditEntry",
    "AutomaticAct",
    "AutomaticRule",
    "BlockedBuyer",
    "BuyerNote",
    "Cause",
    "ChannelKind",
    "Chat",
    "ChatLabel",
    "ChatState",
    "Condition",
    "Delivery",
    "DeliveryState",
    "Direction",
    "Draft",
    "Erasure",
    "ErasureState",
    "ErasureStep",
    "ForgottenChat",
    "ForgottenFile",
    "ForgottenMessage",
    "HalfSignIn",
    "Label",
    "Mark",
    "Message",
    "Node",
    "Note",
    "Notice",
    "NoticeKind",
    "OneTimeLink",
    "Operator",
    "OperatorAccount",
    "Outcome",
    "OutgoingKind",
    "OutgoingMessage",
    "OutgoingState",
    "PaceShare",
    "Pacing",
    "PathToken",
    "QuickPicture",
    "QuickReply",
    "RecoveryCode",
    "Relay",
    "RelayState",
    "RelayedDelivery",
    "RelayedState",
    "Replay",
    "ReplayKind",
    "ReplayState",
    "Role",
    "RuleKind",
    "RulePicture",
    "SavedView",
    "Scope",
    "Sealed",
    "SealedBytes",
    "SecondFactor",
    "SeenNetwork",
    "Session",
    "SignInFailure",
    "SignatureLab",
    "SignatureMode",
    "SignatureSecret",
    "SignatureTally",
    "Slot",
    "Source",
    "Standing",
    "SubscriptionState",
    "Table",
    "TimelineEntry",
    "TimelineKind",
    "Wait",
    "WaitKind",
    "Webhook",
    "standing_of",
]
