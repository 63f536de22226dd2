import { Stack, Table, Text, Title } from "@mantine/core";
import { useApiQuery } from "../../api/client";
import { ServerHealthDocument } from "../../api/generated";
import { ErrorState, Loading } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.administration;
const REFRESH_MS = 10_000;

/** The health of the server that answers, which a visible page reads again every 10 seconds. */
export function Health() {
  const { data, error, refetch } = useApiQuery(ServerHealthDocument, {}, { refetchMs: REFRESH_MS });
  const health = data?.serverHealth;
  return (
    <section aria-labelledby="health">
      <Stack gap="xs">
        <Title order={2} size="h4" id="health">
          {t.health}
        </Title>
        {error && <ErrorState error={error} onRetry={() => void refetch()} />}
        {!health && !error && <Loading />}
        {health && (
          <>
            <Text role="status">
              {health.problems.length === 0 ? t.healthy : health.problems.join(" ")}
            </Text>
            <Table>
              <Table.Tbody>
                {(
                  [
                    [t.serverVersion, health.version],
                    [t.database, health.database],
                    [t.lag, health.lagEntries === null ? null : t.lagInWords(health.lagEntries, health.lagSeconds ?? 0)],
                    [t.subscribers, health.subscribers],
                  ] as const
                )
                  .filter(([, value]) => value !== null)
                  .map(([label, value]) => (
                    <Table.Tr key={label}>
                      <Table.Th scope="row" w="40%">
                        {label}
                      </Table.Th>
                      <Table.Td>{value}</Table.Td>
                    </Table.Tr>
                  ))}
              </Table.Tbody>
            </Table>
          </>
        )}
      </Stack>
    </section>
  );
}
