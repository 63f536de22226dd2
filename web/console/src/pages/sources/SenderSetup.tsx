// How a system sends to a source: the address, the token and the configuration to copy.

import { Button, Group, Stack, Text } from "@mantine/core";
import type { SourceKind } from "../../api/generated";
import { Copyable } from "../../common/Copyable";
import { Dialog } from "../../common/Dialog";
import { texts } from "../../texts";
import { addressOf, formatConfiguration, formatCurl } from "./senders";

const t = texts.sources;
const PLACEHOLDER = "TOKEN";

interface Props {
  kind: SourceKind;
  /** Address of the source without the token. */
  url: string;
  /** Null if it is no longer known. */
  token: string | null;
  /** A payload that the mapping of a source of kind JSON accepts. Undefined if none is known. */
  sample?: unknown;
}

export function SenderSetup({ kind, url, token, sample }: Props) {
  const sender = { kind, url, token: token ?? PLACEHOLDER };
  const configuration = formatConfiguration(sender);
  const curl = formatCurl(sender, sample);
  return (
    <Stack>
      <Text>{token ? t.tokenHint : t.tokenPlaceholderHint(PLACEHOLDER)}</Text>
      {token && <Copyable label={t.token} text={token} />}
      <Copyable label={t.address} text={addressOf(sender)} />
      {token && kind !== "PAGERDUTY" && <Copyable label={t.addressWithToken} text={`${url}/${token}`} />}
      {configuration && <Copyable label={t.configurationFile(configuration.file)} text={configuration.text} />}
      {curl && <Copyable label={t.curl} text={curl} />}
    </Stack>
  );
}

/** The token, which is shown once, in the configuration of the sender. */
export function TokenDialog({ onClose, ...props }: Props & { onClose: () => void }) {
  return (
    <Dialog isOpen isWide onClose={onClose} title={t.setup}>
      <Stack>
        <SenderSetup {...props} />
        <Group>
          <Button variant="default" onClick={onClose}>
            {texts.close}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
