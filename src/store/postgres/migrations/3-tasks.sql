-- Parts of the function `change` (4-change.sql) that are about one task; and what claims share.

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

-- The caller has locked them.
CREATE FUNCTION lease_tasks(owners bigint[], ids text[], r jsonb) RETURNS SETOF tasks
LANGUAGE plpgsql AS $$
DECLARE
  moment bigint := (r->>'now')::bigint;
  beat bigint := (r->>'heartbeatMs')::bigint;
  prefix text := (r->>'tokenPrefix') || '.';
  worker text := r->>'workerId';
BEGIN
  RETURN QUERY UPDATE tasks t SET state = 1, token = prefix || t.id, worker_id = worker,
    leased_at = moment, deadline = moment + timeout_ms,
    until = lease_end(timeout_ms, heartbeat_ms, beat, moment),
    due = lease_end(timeout_ms, heartbeat_ms, beat, moment),
    queue_left = CASE WHEN until IS NULL THEN queue_left ELSE greatest(0, until - moment) END,
    claim_id = NULL
    FROM unnest(owners, ids) AS chosen (owner, task)
    WHERE t.execution = owner AND t.id = task
    RETURNING t.*;
END $$;

-- Says why a task is not claimed.
CREATE FUNCTION claim_ticket(owner bigint, is_held boolean, r jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
  t tasks;
  mine text := (r->>'tokenPrefix') || '.' || (r->>'taskId');
BEGIN
  SELECT * INTO t FROM tasks WHERE execution = owner AND id = r->>'taskId' FOR UPDATE;
  IF NOT FOUND OR t.state = 2 THEN RETURN '{"outcome":"unknown"}'; END IF;
  IF t.state = 1 AND t.token <> mine THEN
    RETURN jsonb_build_object('outcome', 'leased', 'leaseUntil', t.until);
  END IF;
  IF t.state = 0 THEN
    IF t.token = mine THEN RETURN '{"outcome":"unknown"}'; END IF;
    IF is_held THEN RETURN '{"outcome":"held"}'; END IF;
    SELECT * INTO t FROM lease_tasks(ARRAY[owner], ARRAY[t.id], r);
  END IF;
  RETURN jsonb_build_object('outcome', 'claimed',
    'task', leased_task(t, (r->>'heartbeatMs')::bigint));
END $$;

CREATE FUNCTION extend_lease(owner bigint, r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  moment bigint := (r->>'now')::bigint;
  ends bigint;
  t record;
BEGIN
  SELECT state, until, deadline INTO t FROM tasks
    WHERE execution = owner AND id = r->>'taskId' AND token = r->>'token';
  IF NOT FOUND OR t.state = 0 OR moment > t.until + (r->>'lateMs')::bigint THEN
    RETURN '{"outcome":"stale"}';
  END IF;
  IF t.state = 2 THEN RETURN '{"outcome":"cancelled"}'; END IF;
  ends := greatest(t.until, least((r->>'until')::bigint, t.deadline));
  IF ends <> t.until THEN
    UPDATE tasks SET until = ends, due = ends, claim_id = NULL
      WHERE execution = owner AND id = r->>'taskId';
  END IF;
  RETURN jsonb_build_object('outcome', 'extended', 'leaseUntil', ends);
END $$;

-- Null: it is stale.
CREATE FUNCTION release_task(owner bigint, is_held boolean, r jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  ends bigint;
  t record;
BEGIN
  SELECT state, queue, queue_left INTO t FROM tasks
    WHERE execution = owner AND id = r->>'taskId' AND token = r->>'token' FOR UPDATE;
  IF NOT FOUND OR t.state = 2 THEN RETURN 'null'; END IF;
  IF t.state = 1 THEN
    ends := CASE WHEN NOT is_held THEN (r->>'now')::bigint + t.queue_left END;
    UPDATE tasks SET state = 0, held = is_held, until = ends, due = ends, claim_id = NULL
      WHERE execution = owner AND id = r->>'taskId';
  END IF;
  RETURN jsonb_build_object('queue', t.queue);
END $$;
