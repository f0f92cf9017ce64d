-- Claims pass over rows that others have locked, and wait for nothing: they are a call each, apart
-- from changes, and no deadlock passes through them. `again`: the caller made this claim before, and is
-- given what is still under it.

CREATE FUNCTION claim_tasks(r jsonb) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  place int := (r->>'partition')::int;
  most int := (r->>'limit')::int;
  beat bigint := (r->>'heartbeatMs')::bigint;
  given jsonb[] := '{}';
  more text[] := '{}';
  q jsonb;
  owners bigint[];
  ids text[];
BEGIN
  IF (r->>'again')::boolean THEN
    given := ARRAY(SELECT leased_task(t, beat) FROM tasks t
      WHERE partition = place AND due IS NOT NULL AND state = 1
        AND token = r->>'tokenPrefix' || '.' || id);
    most := 0;
  END IF;
  FOR q IN SELECT jsonb_array_elements(r->'queues') LOOP
    SELECT array_agg(execution), array_agg(id) INTO owners, ids FROM (
      SELECT execution, id FROM tasks
      WHERE partition = place AND queue = q->>'name' AND state = 0 AND NOT held
      ORDER BY priority DESC, number
      LIMIT least((q->>'limit')::int, greatest(0, most - cardinality(given)))
      FOR UPDATE SKIP LOCKED) chosen;
    CONTINUE WHEN owners IS NULL;
    given := given || ARRAY(SELECT leased_task(l, beat) FROM lease_tasks(owners, ids, r) l
      ORDER BY priority DESC, number);
  END LOOP;
  FOR q IN SELECT jsonb_array_elements(r->'queues') LOOP
    IF NOT q->>'name' = ANY (more) AND EXISTS (SELECT 1 FROM tasks
      WHERE partition = place AND queue = q->>'name' AND state = 0 AND NOT held)
    THEN more := more || (q->>'name'); END IF;
  END LOOP;
  RETURN jsonb_build_object('tasks', to_jsonb(given), 'more', to_jsonb(more))::text;
END $$;

CREATE FUNCTION claim_due(r jsonb) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  place int := (r->>'partition')::int;
  mine text := r->>'claimId';
  moment bigint := (r->>'now')::bigint;
  most int := (r->>'limit')::int;
  is_more boolean;
  items jsonb;
  next bigint;
BEGIN
  DELETE FROM tasks WHERE (execution, id) IN (SELECT execution, id FROM tasks
    WHERE partition = place AND state = 2 AND until < moment FOR UPDATE SKIP LOCKED);
  is_more := purge(place, moment, ${purgedPerClaim});
  IF (r->>'again')::boolean THEN
    WITH chosen AS (
      SELECT 0 AS kind, due, number, execution, execution_id, id, at, NULL::smallint AS state,
        NULL AS token, NULL AS worker_id, NULL::bigint AS deadline
      FROM timers WHERE partition = place AND claim_id = mine
      UNION ALL SELECT 1, due, number, execution, execution_id, id, until, state, token, worker_id,
        deadline
      FROM tasks WHERE partition = place AND due IS NOT NULL AND claim_id = mine)
    SELECT jsonb_agg(to_jsonb(chosen) ORDER BY kind, number) INTO items FROM chosen;
  END IF;
  IF items IS NULL THEN
    WITH t0 AS (
      SELECT 0 AS kind, due, number, execution, execution_id, id, at, NULL::smallint AS state,
        NULL AS token, NULL AS worker_id, NULL::bigint AS deadline
      FROM timers WHERE partition = place AND due <= moment
      ORDER BY due, number LIMIT most FOR UPDATE SKIP LOCKED),
    t1 AS (
      SELECT 1, due, number, execution, execution_id, id, until, state, token, worker_id, deadline
      FROM tasks WHERE partition = place AND due <= moment
      ORDER BY due, number LIMIT most FOR UPDATE SKIP LOCKED),
    chosen AS (
      SELECT * FROM (SELECT * FROM t0 UNION ALL SELECT * FROM t1) a
      ORDER BY due, kind, number LIMIT most),
    u0 AS (
      UPDATE timers SET due = moment + (r->>'hideMs')::bigint, claim_id = mine
      WHERE (execution, id) IN (SELECT execution, id FROM chosen WHERE kind = 0)),
    u1 AS (
      UPDATE tasks SET due = moment + (r->>'hideMs')::bigint, claim_id = mine
      WHERE (execution, id) IN (SELECT execution, id FROM chosen WHERE kind = 1))
    SELECT jsonb_agg(to_jsonb(chosen) ORDER BY due, kind, number) INTO items FROM chosen;
  END IF;
  IF is_more THEN next := moment;
  ELSE next := least(
    (SELECT due FROM timers WHERE partition = place AND claim_id IS DISTINCT FROM mine
      ORDER BY due LIMIT 1),
    (SELECT due FROM tasks WHERE partition = place AND due IS NOT NULL
      AND claim_id IS DISTINCT FROM mine ORDER BY due LIMIT 1));
  END IF;
  RETURN jsonb_build_object('items', coalesce(items, '[]'), 'nextDue', next)::text;
END $$;

-- In order per source: a hidden message holds back what its source sent after it. One claim of a
-- partition at a time, as another might be given what follows a message of this one.
CREATE FUNCTION claim_outbox(r jsonb) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
SET lock_timeout = '5s'
AS $$
DECLARE
  place int := (r->>'partition')::int;
  mine text := r->>'claimId';
  moment bigint := (r->>'now')::bigint;
  given jsonb;
  next bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext(current_schema()), place);
  IF NOT (r->>'again')::boolean OR NOT EXISTS (
    SELECT 1 FROM messages WHERE partition = place AND claim_id = mine)
  THEN
    UPDATE messages SET visible_at = moment + (r->>'hideMs')::bigint, claim_id = mine,
      deliveries = deliveries + 1
    WHERE (execution, id) IN (SELECT execution, id FROM messages m
      WHERE partition = place AND visible_at <= moment AND NOT EXISTS (SELECT 1 FROM messages h
        WHERE h.execution = m.execution AND h.number < m.number AND h.visible_at > moment)
      ORDER BY number LIMIT (r->>'limit')::int FOR UPDATE SKIP LOCKED);
  END IF;
  SELECT jsonb_agg(jsonb_build_object('key', jsonb_build_object('partition', partition, 'id',
      execution_id), 'id', id, 'body', body, 'deliveries', deliveries) ORDER BY number)
    INTO given FROM messages WHERE partition = place AND claim_id = mine;
  SELECT min(visible_at) INTO next FROM messages m
    WHERE partition = place AND claim_id IS DISTINCT FROM mine AND NOT EXISTS (
      SELECT 1 FROM messages h WHERE h.execution = m.execution AND h.number < m.number
        AND h.visible_at > moment AND h.claim_id IS DISTINCT FROM mine);
  RETURN jsonb_build_object('messages', coalesce(given, '[]'), 'nextDue', next)::text;
END $$;
