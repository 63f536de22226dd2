"""Guard rules and duplication rules, and the expressions that guard rules evaluate."""
