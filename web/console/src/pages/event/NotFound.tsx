import { Anchor } from "@mantine/core";
import { Link } from "react-router";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";

/** Shown instead of an event that does not exist. */
export function NotFound() {
  return (
    <Empty title={texts.event.notFound} isPage>
      <Anchor component={Link} to="/events" underline="always">
        {texts.states.toEvents}
      </Anchor>
    </Empty>
  );
}
