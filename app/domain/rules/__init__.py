"""What each kind of rule does, and the expressions that guard rules evaluate."""
