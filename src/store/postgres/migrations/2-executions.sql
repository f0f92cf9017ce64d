-- What changes single executions. The entries of a call come in order of execution id, and each locks
-- the row of its execution before anything else: calls wait for each other in one order.

CREATE FUNCTION head_of(revision bigint, commit_id text) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('revision', revision, 'commitId', commit_id)
$$;

CREATE FUNCTION add_task(owner bigint, is_held boolean, key jsonb, task jsonb, moment bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  lease jsonb := task->'lease';
  waits bigint := nullif((task->>'queueTimeoutMs')::bigint, 0);
  ends bigint := CASE WHEN lease IS NOT NULL THEN (lease->>'leaseUntil')::bigint
    WHEN NOT is_held THEN moment + waits END;
BEGIN
  -- A task whose id exists is replaced, and takes the last place.
  FOR i IN 1..2 LOOP
    INSERT INTO tasks (execution, partition, execution_id, id, state, held, queue, priority, due,
      until, queue_left, queued_at, timeout_ms, heartbeat_ms, token, worker_id, leased_at, deadline,
      header, parameters)
    VALUES (owner, (key->>'partition')::int, key->>'id', task->>'id',
      CASE WHEN lease IS NULL THEN 0 ELSE 1 END, is_held, task->>'queue',
      (task->>'priority')::int, ends, ends, waits, moment, (task->>'timeoutMs')::bigint,
      (task->>'heartbeatMs')::bigint, lease->>'token', lease->>'workerId',
      CASE WHEN lease IS NOT NULL THEN moment END, (lease->>'deadline')::bigint,
      task->>'header', task->>'parameters')
    ON CONFLICT (execution, id) DO NOTHING;
    EXIT WHEN FOUND;
    DELETE FROM tasks WHERE execution = owner AND id = task->>'id';
  END LOOP;
END $$;

-- All drops come before all additions: a commit may replace what it ends.
CREATE FUNCTION apply_effects(owner bigint, is_held boolean, known int, r jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  effects jsonb := r->'effects';
  moment bigint := (r->>'now')::bigint;
  place int := (r#>>'{key,partition}')::int;
  ids text[];
  one jsonb;
BEGIN
  IF effects ? 'dropTasks' THEN
    ids := ARRAY(SELECT jsonb_array_elements_text(effects->'dropTasks'));
    DELETE FROM tasks WHERE execution = owner AND id = ANY (ids) AND state = 0;
    UPDATE tasks SET state = 2, due = NULL, claim_id = NULL
      WHERE execution = owner AND id = ANY (ids) AND state = 1;
  END IF;
  IF effects ? 'dropTimers' THEN
    ids := ARRAY(SELECT jsonb_array_elements_text(effects->'dropTimers'));
    DELETE FROM timers WHERE execution = owner AND id = ANY (ids);
  END IF;
  IF effects ? 'tasks' THEN
    FOR one IN SELECT jsonb_array_elements(effects->'tasks') LOOP
      PERFORM add_task(owner, is_held, r->'key', one, moment);
    END LOOP;
  END IF;
  IF effects ? 'timers' THEN
    FOR one IN SELECT jsonb_array_elements(effects->'timers') LOOP
      INSERT INTO timers AS known (execution, partition, execution_id, id, at, due)
        VALUES (owner, place, r#>>'{key,id}', one->>'id', (one->>'at')::bigint,
          (one->>'at')::bigint)
        ON CONFLICT (execution, id) DO UPDATE
        SET at = excluded.at, due = excluded.due, claim_id = NULL;
    END LOOP;
  END IF;
  IF effects ? 'messages' THEN
    FOR one IN SELECT jsonb_array_elements(effects->'messages') LOOP
      DELETE FROM messages WHERE execution = owner AND id = one->>'id';
      INSERT INTO messages (execution, partition, execution_id, id, body, deliveries, visible_at)
        VALUES (owner, place, r#>>'{key,id}', one->>'id', one->>'body', 0, moment);
    END LOOP;
  END IF;
  IF effects ? 'history' THEN
    INSERT INTO history (execution, sequence, entry)
      SELECT owner, known + n, entry
      FROM jsonb_array_elements_text(effects->'history') WITH ORDINALITY AS e (entry, n);
  END IF;
END $$;

-- data: pairs of name and value.
CREATE FUNCTION put_fields(owner bigint, data jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO fields (execution, name, value)
    SELECT owner, d->>0, d->>1 FROM jsonb_array_elements(data) d
    ON CONFLICT (execution, name) DO UPDATE SET value = excluded.value;
END $$;

-- Deletes a bounded part of what an execution owns; returns whether something is left.
CREATE FUNCTION delete_rows(owner bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  room int := ${removeRowsMax};
  gone int;
BEGIN
  DELETE FROM tasks WHERE number IN (
    SELECT number FROM tasks WHERE execution = owner LIMIT room);
  GET DIAGNOSTICS gone = ROW_COUNT;
  room := room - gone;
  DELETE FROM timers WHERE number IN (
    SELECT number FROM timers WHERE execution = owner LIMIT room);
  GET DIAGNOSTICS gone = ROW_COUNT;
  room := room - gone;
  DELETE FROM messages WHERE number IN (
    SELECT number FROM messages WHERE execution = owner LIMIT room);
  GET DIAGNOSTICS gone = ROW_COUNT;
  room := room - gone;
  DELETE FROM fields WHERE execution = owner AND name IN (
    SELECT name FROM fields WHERE execution = owner LIMIT room);
  GET DIAGNOSTICS gone = ROW_COUNT;
  room := room - gone;
  DELETE FROM history WHERE execution = owner AND sequence IN (
    SELECT sequence FROM history WHERE execution = owner LIMIT room);
  GET DIAGNOSTICS gone = ROW_COUNT;
  IF gone < room THEN RETURN false; END IF;
  RETURN EXISTS (SELECT 1 FROM tasks WHERE execution = owner)
    OR EXISTS (SELECT 1 FROM timers WHERE execution = owner)
    OR EXISTS (SELECT 1 FROM messages WHERE execution = owner)
    OR EXISTS (SELECT 1 FROM fields WHERE execution = owner)
    OR EXISTS (SELECT 1 FROM history WHERE execution = owner);
END $$;

-- Ends at most so many tombstones; returns whether there may be more to end.
CREATE FUNCTION purge(place int, moment bigint, most int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  owner bigint;
  purged int := 0;
BEGIN
  FOR owner IN SELECT number FROM executions WHERE partition = place AND tombstone_until <= moment
    ORDER BY tombstone_until LIMIT most FOR UPDATE SKIP LOCKED
  LOOP
    IF delete_rows(owner) THEN RETURN true; END IF;
    DELETE FROM executions WHERE number = owner;
    purged := purged + 1;
  END LOOP;
  RETURN purged = most;
END $$;

CREATE FUNCTION create_execution(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  l jsonb := r->'listing';
  place int := (r#>>'{key,partition}')::int;
  name text := r#>>'{key,id}';
  entries int := coalesce(jsonb_array_length(r#>'{effects,history}'), 0);
  owner bigint;
  x record;
BEGIN
  LOOP
    INSERT INTO executions (partition, id, workflow, version, status, started_at, ended_at,
      correlation_id, parent, is_inline, created_by, request_hash, revision, commit_id, recent, held,
      history, state)
    VALUES (place, name, l->>'workflow', (l->>'version')::int, l->>'status',
      (l->>'startedAt')::bigint, (l->>'endedAt')::bigint, l->>'correlationId', l->>'parent',
      (l->>'inline')::boolean, r->>'commitId', r->>'requestHash', 1, r->>'commitId',
      ARRAY[r->>'commitId'], false, entries, r->>'state')
    ON CONFLICT (partition, id) DO NOTHING RETURNING number INTO owner;
    EXIT WHEN owner IS NOT NULL;
    SELECT e.number, created_by, revision, commit_id, status, request_hash, ended_at, tombstone_until
      INTO x FROM executions e WHERE partition = place AND id = name FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    IF x.tombstone_until IS NULL THEN
      RETURN CASE WHEN x.created_by = r->>'commitId' THEN
        jsonb_build_object('outcome', 'created', 'head', head_of(1, x.created_by))
      ELSE jsonb_strip_nulls(jsonb_build_object('outcome', 'exists',
        'head', head_of(x.revision, x.commit_id), 'status', x.status,
        'requestHash', x.request_hash)) END;
    END IF;
    IF (r->>'now')::bigint < x.tombstone_until OR delete_rows(x.number) THEN
      RETURN jsonb_strip_nulls(jsonb_build_object('outcome', 'tombstone',
        'kept', CASE WHEN x.request_hash IS NOT NULL THEN jsonb_build_object(
          'requestHash', x.request_hash, 'status', x.status, 'endedAt', x.ended_at) END));
    END IF;
    DELETE FROM executions WHERE number = x.number;
  END LOOP;
  IF r ? 'data' THEN PERFORM put_fields(owner, r->'data'); END IF;
  PERFORM apply_effects(owner, false, 0, r);
  RETURN jsonb_build_object('outcome', 'created', 'head', head_of(1, r->>'commitId'));
END $$;

-- Whether a task is as the commit that ends it expects.
CREATE FUNCTION may_end(state smallint, held_by text, until bigint, ending jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN ending->>'token' IS NULL THEN state = 0
      ELSE state = 1 AND held_by = ending->>'token' END
    AND (ending->>'until' IS NULL OR until = (ending->>'until')::bigint)
$$;

-- Ids of the tasks that are not as the commit expects them; the others stay as they are until its end.
CREATE FUNCTION stale_tasks(owner bigint, ends jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  stale text[] := '{}';
  one jsonb;
BEGIN
  FOR one IN SELECT jsonb_array_elements(ends) LOOP
    PERFORM 1 FROM tasks t WHERE execution = owner AND id = one->>'taskId'
      AND may_end(t.state, t.token, t.until, one) FOR UPDATE;
    IF NOT FOUND THEN stale := stale || (one->>'taskId'); END IF;
  END LOOP;
  RETURN stale;
END $$;

CREATE FUNCTION stale_timers(owner bigint, consumed jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  stale text[] := '{}';
  one jsonb;
BEGIN
  FOR one IN SELECT jsonb_array_elements(consumed) LOOP
    PERFORM 1 FROM timers WHERE execution = owner AND id = one->>'id'
      AND claim_id = one->>'claimId' FOR UPDATE;
    IF NOT FOUND THEN stale := stale || (one->>'id'); END IF;
  END LOOP;
  RETURN stale;
END $$;

-- Returns the queues whose tasks are on offer again.
CREATE FUNCTION hold_tasks(owner bigint, is_held boolean, moment bigint)
RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  IF is_held THEN
    UPDATE tasks SET held = true, due = NULL, until = NULL, claim_id = NULL,
      queue_left = CASE WHEN until IS NULL THEN queue_left ELSE greatest(0, until - moment) END
      WHERE execution = owner AND state = 0;
  ELSE
    UPDATE tasks SET held = false, due = moment + queue_left, until = moment + queue_left,
      claim_id = NULL WHERE execution = owner AND state = 0;
  END IF;
  RETURN ARRAY(SELECT DISTINCT queue FROM tasks
    WHERE execution = owner AND state = 0 AND NOT is_held);
END $$;

CREATE FUNCTION commit_execution(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  moment bigint := (r->>'now')::bigint;
  entries int := coalesce(jsonb_array_length(r#>'{effects,history}'), 0);
  stale text[] := '{}';
  late text[] := '{}';
  is_held boolean;
  offered text[];
  x record;
BEGIN
  SELECT number, revision, commit_id, recent, held, history INTO x FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}'
      AND tombstone_until IS NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN '{"outcome":"not_found"}'; END IF;
  IF r->>'commitId' = ANY (x.recent) THEN
    RETURN jsonb_build_object('outcome', 'already_committed', 'head',
      head_of(x.revision, x.commit_id));
  END IF;
  IF x.revision <> (r#>>'{expected,revision}')::bigint
    OR x.commit_id <> r#>>'{expected,commitId}' THEN
    RETURN jsonb_build_object('outcome', 'conflict', 'head', head_of(x.revision, x.commit_id));
  END IF;
  IF jsonb_array_length(r->'ends') = 1 AND NOT r ? 'consumeTimers' THEN
    -- The usual case: the deletion is the check.
    DELETE FROM tasks t WHERE execution = x.number AND id = r#>>'{ends,0,taskId}'
      AND may_end(t.state, t.token, t.until, r#>'{ends,0}');
    IF NOT FOUND THEN stale := ARRAY[r#>>'{ends,0,taskId}']; END IF;
  ELSE
    IF r ? 'ends' THEN stale := stale_tasks(x.number, r->'ends'); END IF;
    IF r ? 'consumeTimers' THEN late := stale_timers(x.number, r->'consumeTimers'); END IF;
  END IF;
  IF cardinality(stale) + cardinality(late) > 0 THEN
    RETURN jsonb_build_object('outcome', 'stale', 'tasks', to_jsonb(stale),
      'timers', to_jsonb(late));
  END IF;
  IF jsonb_array_length(r->'ends') > 1 OR r ? 'ends' AND r ? 'consumeTimers' THEN
    DELETE FROM tasks WHERE execution = x.number
      AND id = ANY (ARRAY(SELECT e->>'taskId' FROM jsonb_array_elements(r->'ends') e));
  END IF;
  IF r ? 'consumeTimers' THEN
    DELETE FROM timers WHERE execution = x.number
      AND id = ANY (ARRAY(SELECT t->>'id' FROM jsonb_array_elements(r->'consumeTimers') t));
  END IF;
  is_held := coalesce((r->>'hold')::boolean, x.held);
  IF is_held <> x.held THEN offered := hold_tasks(x.number, is_held, moment); END IF;
  IF r ? 'gone' THEN
    DELETE FROM fields WHERE execution = x.number
      AND name = ANY (ARRAY(SELECT jsonb_array_elements_text(r->'gone')));
  END IF;
  IF r ? 'data' THEN PERFORM put_fields(x.number, r->'data'); END IF;
  PERFORM apply_effects(x.number, is_held, x.history, r);
  UPDATE executions SET revision = x.revision + 1, commit_id = r->>'commitId',
    recent = (x.recent || (r->>'commitId'))[
      greatest(1, cardinality(x.recent) + 2 - ${commitIdsKept}):],
    held = is_held, history = x.history + entries, state = r->>'state', status = r->>'status',
    ended_at = (r->>'endedAt')::bigint
    WHERE number = x.number;
  RETURN jsonb_build_object('outcome', 'committed', 'head',
    head_of(x.revision + 1, r->>'commitId'), 'offered', to_jsonb(offered));
END $$;

-- Ended tombstones are purged at the end of the call: their locks come in no order.
CREATE FUNCTION remove_execution(r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  x record;
BEGIN
  SELECT number, revision, commit_id, tombstone_until INTO x FROM executions
    WHERE partition = (r#>>'{key,partition}')::int AND id = r#>>'{key,id}' FOR UPDATE;
  IF NOT FOUND THEN RETURN '"not_found"'; END IF;
  IF x.revision <> (r#>>'{expected,revision}')::bigint
    OR x.commit_id <> r#>>'{expected,commitId}' THEN
    RETURN CASE WHEN x.tombstone_until IS NULL THEN '"conflict"' ELSE '"not_found"' END;
  END IF;
  IF x.tombstone_until IS NULL THEN
    UPDATE executions SET tombstone_until = (r->>'tombstoneUntil')::bigint,
      request_hash = CASE WHEN (r->>'keepStart')::boolean
        THEN left(request_hash, ${keptHashChars}) END,
      workflow = '', created_by = '', correlation_id = NULL, parent = NULL, is_inline = NULL,
      recent = '{}', state = ''
      WHERE number = x.number;
  END IF;
  RETURN CASE WHEN delete_rows(x.number) THEN '"more"' ELSE '"removed"' END;
END $$;
