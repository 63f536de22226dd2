"""Creates plans: the mutations that make a server equal to a configuration file.

A plan depends on the file, the values of its references, the stored state and the options only. The
same state gives the same plan, so a saved plan needs no mutations, only a digest of the state.
"""

from __future__ import annotations

from app.api_client import ApiClient
from app.configuration.channel_planning import plan_channels
from app.configuration.configuration import Configuration, InvalidFileError
from app.configuration.duplication_rule_planning import plan_duplication_rules
from app.configuration.event_type_planning import check_types_in_use, plan_event_types
from app.configuration.file_schema import CHANNELS, RETENTION_POLICIES, SOURCES
from app.configuration.guard_rule_planning import plan_guard_rules
from app.configuration.matching import find_unmanaged, match_sections
from app.configuration.mutations import Phase, Step
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CHANGED, CREATED, ORGANIZATION, Plan, PlanOptions
from app.configuration.retention_policy_planning import plan_retention_policies
from app.configuration.silence_planning import plan_silences
from app.configuration.source_planning import plan_sources
from app.configuration.stored_state import StoredState
from app.domain.shared.messages import limit_message, quote_value


def create_plan(
    client: ApiClient, configuration: Configuration, state: StoredState, options: PlanOptions
) -> Plan:
    """Compares the file with the stored state. Raises InvalidFileError and ApiError."""
    plan = Plan(state, configuration, options)
    context = PlanContext(client, configuration, state, options, plan)
    match_sections(context)
    _raise_errors(context)
    _plan_organization(context)
    plan_event_types(context)
    plan_guard_rules(context)
    plan_duplication_rules(context)
    plan_retention_policies(context)
    plan_silences(context)
    plan_sources(context)
    plan_channels(context)
    check_types_in_use(context)
    _check_counts(context)
    _raise_errors(context)
    if not options.prune:
        for name in context.matches:
            plan.unmanaged[name] = len(find_unmanaged(context, name))
    return plan


def _raise_errors(context: PlanContext) -> None:
    if context.errors:
        raise InvalidFileError(context.errors)


def _check_counts(context: PlanContext) -> None:
    """Adds an error if an organization would have more objects than the limits allow."""
    limits = context.state.limits
    maxima = (
        (RETENTION_POLICIES, limits.retention_policies),
        (SOURCES, limits.sources),
        (CHANNELS, limits.channels),
    )
    for section, maximum in maxima:
        created = [item for item, stored in context.matches_of(section) if stored is None]
        if not created:
            continue
        stored_count = len(context.state.items[section.name])
        count = stored_count - len(context.removed_from(section)) + len(created)
        if count > maximum:
            plural = f"{section.noun}s".replace("ys", "ies")
            owner = "with the changes, the organization"
            message = limit_message(maximum, section.noun, owner, count, plural=plural)
            context.add_error(message, created[0])
        elif stored_count + len(created) > maximum:
            context.plan.full_sections.add(section.name)


def _plan_organization(context: PlanContext) -> None:
    name = context.configuration.organization_name
    key, stored_name = context.state.organization_key, context.state.organization_name
    if stored_name is None:
        if name is None:
            message = (
                f"The credential has no organization {quote_value(key)}. To create it, set the "
                "name of the organization."
            )
            error = context.configuration.error_at(message, "organization")
            raise InvalidFileError([error])
        change = context.add_change(CREATED, ORGANIZATION, f"organization {quote_value(key)}")
        document = """
mutation CreateOrganization($key: String!, $name: String!) {
  payload: createOrganization(key: $key, name: $name) { userErrors { message path } }
}
"""
        change.steps.append(
            Step(Phase.ORGANIZATION, document, lambda _: {"key": key, "name": name})
        )
    elif name not in (None, stored_name):
        change = context.add_change(CHANGED, ORGANIZATION, f"organization {quote_value(key)}")
        change.words.append(f"Name from {quote_value(stored_name)} to {quote_value(name)}.")
        document = """
mutation RenameOrganization($name: String!) {
  payload: updateOrganization(name: $name) { userErrors { message path } }
}
"""
        change.steps.append(Step(Phase.ORGANIZATION, document, lambda _: {"name": name}))
