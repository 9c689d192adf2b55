"""The words of the protocol: what requests, replies and handshakes call things."""

# What a client announces as a WebSocket subprotocol to be shown the extensions.
SUBPROTOCOL = "labvla.v1"

# Request
CAMERAS = ("camera_1_rgb", "camera_2_rgb", "camera_3_rgb")  # in the order of the policy's slots
STATE = "state"
PROMPT = "prompt"
OTHER_PROMPT = "language_instruction"

# Request, extensions
REQUEST_ID = "request_id"
DEADLINE_MS = "deadline_ms"
PREFIX = "prefix"  # rows that are executed anyway; the reply says how many it continues
PREFIX_FROZEN = "prefix_frozen"  # how many of them before the answer can take over
SEED = "seed"

# Reply
ACTIONS = "actions"
POLICY_TIMING = "policy_timing"
SERVER_TIMING = "server_timing"
PREFIX_ROWS = "prefix_rows"
ERROR = "error"
DETAIL = "detail"
RETRY_AFTER_MS = "retry_after_ms"

TOKEN_VARIABLE = "LABVLA_WS_AUTH_TOKEN"
HEALTH_PATH = "/healthz"
