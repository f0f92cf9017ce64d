/**
 * Shares the partitions of topics among the members of a consumer group, each only those of topics
 * that it is subscribed to: members of one group may take different ones.
 */
import type { GroupPartitionsAssigner } from "@platformatic/kafka";

export const assignPartitions: GroupPartitionsAssigner = (_, members, __, metadata) => {
  const ids = [...members.keys()].sort();
  const shares = new Map(ids.map((id) => [id, new Map<string, number[]>()]));
  const counts = new Map(ids.map((id) => [id, 0]));
  // What the client passes as topics are those of the member that shares out alone.
  const topics = new Set([...members.values()].flatMap((member) => member.topics ?? []));
  for (const topic of [...topics].sort()) {
    const takers = ids.filter((id) => members.get(id)!.topics?.includes(topic));
    const partitions = metadata.topics.get(topic)?.partitionsCount ?? 0;
    for (let partition = 0; partition < partitions && takers.length > 0; partition++) {
      const least = takers.reduce((best, id) => (counts.get(id)! < counts.get(best)! ? id : best));
      counts.set(least, counts.get(least)! + 1);
      const share = shares.get(least)!;
      share.set(topic, [...(share.get(topic) ?? []), partition]);
    }
  }
  return ids.map((memberId) => ({
    memberId,
    assignments: new Map(
      [...shares.get(memberId)!].map(([topic, partitions]) => [topic, { topic, partitions }]),
    ),
  }));
};
