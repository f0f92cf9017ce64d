-- Parts of the function `change` (4-change.sql) that are about one execution, whose row it has locked.

CREATE FUNCTION head_of(revision bigint, commit_id text) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('revision', revision, 'commitId', commit_id)
$$;

-- Deletes a bounded part of what an execution owns; returns whether something is left.
CREATE FUNCTION delete_rows(owner bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  room int := ${removeRowsMax};
  gone int;
BEGIN
  DELETE FROM tasks WHERE execution = owner AND id IN (
    SELECT id FROM tasks WHERE execution = owner LIMIT room);
  GET DIAGNOSTICS gone = ROW_COUNT;
  room := room - gone;
  DELETE FROM timers WHERE execution = owner AND id IN (
    SELECT id FROM timers WHERE execution = owner LIMIT room);
  GET DIAGNOSTICS gone = ROW_COUNT;
  room := room - gone;
  DELETE FROM messages WHERE execution = owner AND id IN (
    SELECT id FROM messages WHERE execution = owner LIMIT room);
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

-- Whether a task is as the commit that ends it expects. Neither token nor moment: it is on offer.
CREATE FUNCTION may_end(t tasks, ending jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN ending->>'token' IS NOT NULL THEN t.state = 1 AND t.token = ending->>'token'
      ELSE t.state = 0 AND (ending ? 'until' OR NOT t.held) END
    AND (NOT ending ? 'until' OR t.until = (ending->>'until')::bigint)
$$;

CREATE FUNCTION has_several_checks(r jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_array_length(r->'ends') > 1 OR r ? 'consumeTimers'
$$;

-- Answer of a commit with several checks; NULL: all of them hold, and stay so until its end.
CREATE FUNCTION refuse_stale(owner bigint, r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  stale text[] := ARRAY(SELECT e->>'taskId' FROM jsonb_array_elements(r->'ends') e
    WHERE NOT EXISTS (SELECT FROM tasks t WHERE execution = owner AND id = e->>'taskId'
      AND may_end(t, e) FOR UPDATE));
  late text[] := ARRAY(SELECT e->>'id' FROM jsonb_array_elements(r->'consumeTimers') e
    WHERE NOT EXISTS (SELECT FROM timers WHERE execution = owner AND id = e->>'id'
      AND claim_id = e->>'claimId' FOR UPDATE));
BEGIN
  IF cardinality(stale) + cardinality(late) = 0 THEN RETURN NULL; END IF;
  RETURN jsonb_build_object('outcome', 'stale', 'tasks', to_jsonb(stale), 'timers', to_jsonb(late));
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

-- Of a creation whose id exists; NULL: that one is gone now, and it may be created.
CREATE FUNCTION answer_existing(owner bigint, r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  x record;
BEGIN
  SELECT created_by, revision, commit_id, status, request_hash, ended_at, tombstone_until
    INTO x FROM executions WHERE number = owner;
  IF x.tombstone_until IS NULL THEN
    RETURN CASE WHEN x.created_by = r->>'commitId' THEN
      jsonb_build_object('outcome', 'created', 'head', head_of(1, x.created_by))
    ELSE jsonb_strip_nulls(jsonb_build_object('outcome', 'exists',
      'head', head_of(x.revision, x.commit_id), 'status', x.status,
      'requestHash', x.request_hash)) END;
  END IF;
  IF (r->>'now')::bigint < x.tombstone_until OR delete_rows(owner) THEN
    RETURN jsonb_strip_nulls(jsonb_build_object('outcome', 'tombstone',
      'kept', CASE WHEN x.request_hash IS NOT NULL THEN jsonb_build_object(
        'requestHash', x.request_hash, 'status', x.status, 'endedAt', x.ended_at) END));
  END IF;
  DELETE FROM executions WHERE number = owner;
  RETURN NULL;
END $$;

-- Ended tombstones are purged at the end of the call: their locks come in no order.
CREATE FUNCTION remove_execution(owner bigint, r jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  x record;
BEGIN
  SELECT revision, commit_id, tombstone_until INTO x FROM executions WHERE number = owner;
  IF x.revision <> (r->>'revision')::bigint
    OR x.commit_id <> r->>'expected' THEN
    RETURN CASE WHEN x.tombstone_until IS NULL THEN '"conflict"' ELSE '"not_found"' END;
  END IF;
  IF x.tombstone_until IS NULL THEN
    UPDATE executions SET tombstone_until = (r->>'tombstoneUntil')::bigint,
      request_hash = CASE WHEN (r->>'keepStart')::boolean
        THEN left(request_hash, ${keptHashChars}) END,
      workflow = '', created_by = '', correlation_id = NULL, parent = NULL, is_inline = NULL,
      recent = '{}', state = ''
      WHERE number = owner;
  END IF;
  RETURN CASE WHEN delete_rows(owner) THEN '"more"' ELSE '"removed"' END;
END $$;
