"""The decision on a report: which event it becomes, or why it is refused."""
