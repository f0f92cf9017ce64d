-- What changes single tasks and messages: entries of the same call as commits.

CREATE FUNCTION leased_task(t tasks, worker_beat bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('key', jsonb_build_object('partition', t.partition, 'id',
    t.execution_id), 'id', t.id, 'queue', t.queue, 'token', t.token, 'leasedAt', t.leased_at,
    'leaseUntil', t.until, 'deadline', t.deadline, 'heartbeatMs',
    CASE WHEN t.heartbeat_ms > 0 THEN t.heartbeat_ms ELSE worker_beat END,
    'header', t.header, 'parameters', t.parameters)
$$;

-- A lease ends with the longest silence or with the attempt.
CREATE FUNCTION lease_end(timeout_ms bigint, task_beat bigint, worker_beat bigint, moment bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT moment + CASE WHEN task_beat > 0 THEN least(task_beat, timeout_ms)
    WHEN worker_beat > 0 THEN least(worker_beat, timeout_ms) ELSE timeout_ms END
$$;

CREATE FUNCTION lease_task(place bigint, r jsonb) RETURNS tasks LANGUAGE sql AS $$
  UPDATE tasks SET state = 1, token = r->>'tokenPrefix' || '.' || id, worker_id = r->>'workerId',
    leased_at = (r->>'now')::bigint, deadline = (r->>'now')::bigint + timeout_ms,
    until = lease_end(timeout_ms, heartbeat_ms, (r->>'heartbeatMs')::bigint,
      (r->>'now')::bigint),
    due = lease_end(timeout_ms, heartbeat_ms, (r->>'heartbeatMs')::bigint,
      (r->>'now')::bigint),
    queue_left = CASE WHEN until IS NULL THEN queue_left
      ELSE greatest(0, until - (r->>'now')::bigint) END,
    claim_id = NULL
    WHERE number = place RETURNING *
$$;

CREATE FUNCTION claim_task(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  x record;
  t tasks;
  mine text := (r->>'tokenPrefix') || '.' || (r->>'taskId');
BEGIN
  SELECT number, held INTO x FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}' FOR UPDATE;
  SELECT * INTO t FROM tasks WHERE execution = x.number AND id = r->>'taskId' FOR UPDATE;
  IF NOT FOUND THEN RETURN 'null'; END IF;
  IF t.state = 1 AND t.token = mine THEN
    RETURN leased_task(t, (r->>'heartbeatMs')::bigint);
  END IF;
  IF t.state <> 0 OR x.held OR t.token = mine THEN RETURN 'null'; END IF;
  t := lease_task(t.number, r);
  RETURN leased_task(t, (r->>'heartbeatMs')::bigint);
END $$;

CREATE FUNCTION extend_lease(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  moment bigint := (r->>'now')::bigint;
  owner bigint;
  ends bigint;
  t record;
BEGIN
  SELECT number INTO owner FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}' FOR UPDATE;
  SELECT number, state, until, deadline INTO t FROM tasks
    WHERE execution = owner AND id = r->>'taskId' AND token = r->>'token';
  IF NOT FOUND OR t.state = 0 OR moment > t.until + (r->>'lateMs')::bigint THEN
    RETURN '{"outcome":"stale"}';
  END IF;
  IF t.state = 2 THEN RETURN '{"outcome":"cancelled"}'; END IF;
  ends := greatest(t.until, least((r->>'until')::bigint, t.deadline));
  IF ends <> t.until THEN
    UPDATE tasks SET until = ends, due = ends, claim_id = NULL WHERE number = t.number;
  END IF;
  RETURN jsonb_build_object('outcome', 'extended', 'leaseUntil', ends);
END $$;

-- Null: it is stale.
CREATE FUNCTION release_task(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  ends bigint;
  x record;
  t record;
BEGIN
  SELECT number, held INTO x FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}' FOR UPDATE;
  SELECT number, state, queue, queue_left INTO t FROM tasks
    WHERE execution = x.number AND id = r->>'taskId' AND token = r->>'token' FOR UPDATE;
  IF NOT FOUND OR t.state = 2 THEN RETURN 'null'; END IF;
  IF t.state = 1 THEN
    ends := CASE WHEN NOT x.held THEN (r->>'now')::bigint + t.queue_left END;
    UPDATE tasks SET state = 0, held = x.held, until = ends, due = ends, claim_id = NULL
      WHERE number = t.number;
  END IF;
  RETURN jsonb_build_object('queue', t.queue);
END $$;

CREATE FUNCTION ack_message(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  owner bigint;
BEGIN
  SELECT number INTO owner FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}' FOR UPDATE;
  DELETE FROM messages WHERE execution = owner AND id = r->>'id';
  RETURN 'null';
END $$;

-- The changes of a turn, in one transaction; an answer for each, in their order.
CREATE FUNCTION change(requests jsonb) RETURNS text LANGUAGE plpgsql
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
      WHEN 'create' THEN answer := create_execution(r);
      WHEN 'extend' THEN answer := extend_lease(r);
      WHEN 'release' THEN answer := release_task(r);
      WHEN 'claim' THEN answer := claim_task(r);
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
