"""What a policy is told when it asks for something that a tool does not do."""

from __future__ import annotations


class ToolError(ValueError):
    """Wrong use of a tool, or a tool that failed: the policy reads the message and may go on."""
