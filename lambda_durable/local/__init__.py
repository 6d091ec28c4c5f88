"""The embedded cloud: what stands in for AWS on a laptop."""

from .cloud import CloudError, LocalCloud

__all__ = ["CloudError", "LocalCloud"]
