import { Button } from "@mantine/core";
import { Link } from "react-router";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";

export default function NotFound() {
  return (
    <Empty title={texts.states.notFound} isPage>
      <Button component={Link} to="/events">
        {texts.states.toEvents}
      </Button>
    </Empty>
  );
}
