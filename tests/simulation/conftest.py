# Also where the package is not installed, and pytest knows nothing of its plugin.
from lambda_durable.testing.plugin import durable  # noqa: F401
