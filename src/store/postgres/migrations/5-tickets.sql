-- Claims and commits of tasks by ticket. Servers of the version before may run beside: what they
-- call (`claim`, `commit`) stays as it is, and `change` has two branches more.

-- Says why a task is not claimed. Nothing of a removed execution is.
CREATE FUNCTION claim_ticket(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  x record;
  t tasks;
  mine text := (r->>'tokenPrefix') || '.' || (r->>'taskId');
BEGIN
  SELECT number, held INTO x FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}'
      AND tombstone_until IS NULL FOR UPDATE;
  SELECT * INTO t FROM tasks WHERE execution = x.number AND id = r->>'taskId' FOR UPDATE;
  IF NOT FOUND OR t.state = 2 THEN RETURN '{"outcome":"unknown"}'; END IF;
  IF t.state = 1 AND t.token <> mine THEN
    RETURN jsonb_build_object('outcome', 'leased', 'leaseUntil', t.until);
  END IF;
  IF t.state = 0 THEN
    IF t.token = mine THEN RETURN '{"outcome":"unknown"}'; END IF;
    IF x.held THEN RETURN '{"outcome":"held"}'; END IF;
    t := lease_task(t.number, r);
  END IF;
  RETURN jsonb_build_object('outcome', 'claimed',
    'task', leased_task(t, (r->>'heartbeatMs')::bigint));
END $$;

-- A commit that settles tasks on offer: `ends` with neither a token nor a moment. In a held execution
-- none is on offer; there they become ends that no task is equal to, so that they are stale.
CREATE FUNCTION commit_settling_offered(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  is_held boolean;
BEGIN
  SELECT held INTO is_held FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}'
      AND tombstone_until IS NULL FOR UPDATE;
  IF is_held THEN
    r := jsonb_set(r, '{ends}', (SELECT jsonb_agg(CASE
        WHEN e->>'token' IS NULL AND e->>'until' IS NULL THEN e || '{"until": -1}' ELSE e END
        ORDER BY n)
      FROM jsonb_array_elements(r->'ends') WITH ORDINALITY AS a (e, n)));
  END IF;
  RETURN commit_execution(r);
END $$;

CREATE OR REPLACE FUNCTION change(requests jsonb) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET lock_timeout = '5s'
AS $$
DECLARE
  r jsonb;
  answer jsonb;
  answers jsonb[] := '{}';
  removed jsonb[] := '{}';
BEGIN
  FOR r IN SELECT jsonb_array_elements(requests) LOOP
    CASE r->>'do'
      WHEN 'commit' THEN answer := commit_execution(r);
      WHEN 'settle' THEN answer := commit_settling_offered(r);
      WHEN 'create' THEN answer := create_execution(r);
      WHEN 'extend' THEN answer := extend_lease(r);
      WHEN 'release' THEN answer := release_task(r);
      WHEN 'claim' THEN answer := claim_task(r);
      WHEN 'ticket' THEN answer := claim_ticket(r);
      WHEN 'ack' THEN answer := ack_message(r);
      WHEN 'remove' THEN
        answer := remove_execution(r);
        IF answer = '"removed"' THEN removed := removed || r; END IF;
    END CASE;
    answers := answers || answer;
  END LOOP;
  FOREACH r IN ARRAY removed LOOP
    PERFORM purge((r#>>'{key,partition}')::int, (r->>'now')::bigint, ${purgedPerRemoval});
  END LOOP;
  RETURN to_jsonb(answers)::text;
END $$;
