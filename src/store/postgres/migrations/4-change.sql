-- One call changes many executions, in one transaction, with few statements for all of them. All
-- executions of a call are locked first, in order of id: calls wait for each other in one order.

-- What the entries of a call write, one statement for each table. `owners`: by entry, the number of
-- its execution; 0: the entry is refused. All drops come before all additions: a commit may replace
-- what it ends.
CREATE FUNCTION apply_entries(requests jsonb, owners bigint[], holds boolean[], known int[])
RETURNS void LANGUAGE plpgsql
AS $$
BEGIN
  IF requests @? '$[*].gone' THEN
    DELETE FROM fields USING jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE execution = owners[n::int]
        AND name = ANY (ARRAY(SELECT jsonb_array_elements_text(r->'gone')));
  END IF;
  IF requests @? '$[*].dropTasks' THEN
    DELETE FROM tasks USING jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE execution = owners[n::int] AND state = 0
        AND id = ANY (ARRAY(SELECT jsonb_array_elements_text(r->'dropTasks')));
    UPDATE tasks SET state = 2, due = NULL, claim_id = NULL
      FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE execution = owners[n::int] AND state = 1
        AND id = ANY (ARRAY(SELECT jsonb_array_elements_text(r->'dropTasks')));
  END IF;
  IF requests @? '$[*].dropTimers' THEN
    DELETE FROM timers USING jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE execution = owners[n::int]
        AND id = ANY (ARRAY(SELECT jsonb_array_elements_text(r->'dropTimers')));
  END IF;
  INSERT INTO fields (execution, name, value)
    SELECT owners[n::int], d->>0, d->>1
    FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n), jsonb_array_elements(r->'data') d
    WHERE owners[n::int] > 0
    ON CONFLICT (execution, name) DO UPDATE SET value = excluded.value;
  -- A task whose id exists is replaced, and takes the last place.
  INSERT INTO tasks AS old (execution, partition, execution_id, id, state, held, queue, priority, due,
      until, queue_left, queued_at, timeout_ms, heartbeat_ms, token, worker_id, leased_at, deadline,
      header, parameters)
    SELECT owners[n::int], (r->>'partition')::int, r->>'execution', id,
      CASE WHEN lease IS NULL THEN 0 ELSE 1 END, holds[n::int], queue, priority, ends, ends,
      waits, moment, "timeoutMs", "heartbeatMs", lease->>'token', lease->>'workerId',
      CASE WHEN lease IS NOT NULL THEN moment END, (lease->>'deadline')::bigint, header, parameters
    FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n),
      jsonb_to_recordset(r->'tasks') t (id text, queue text, priority int,
        "timeoutMs" bigint, "heartbeatMs" bigint, "queueTimeoutMs" bigint, header text,
        parameters text, lease jsonb),
      LATERAL (SELECT (r->>'now')::bigint AS moment, nullif("queueTimeoutMs", 0) AS waits) a,
      LATERAL (SELECT CASE WHEN lease IS NOT NULL THEN (lease->>'leaseUntil')::bigint
        WHEN NOT holds[n::int] THEN moment + waits END AS ends) b
    WHERE owners[n::int] > 0
    ON CONFLICT (execution, id) DO UPDATE SET number = excluded.number, state = excluded.state,
      held = excluded.held, queue = excluded.queue, priority = excluded.priority, due = excluded.due,
      until = excluded.until, queue_left = excluded.queue_left, queued_at = excluded.queued_at,
      timeout_ms = excluded.timeout_ms, heartbeat_ms = excluded.heartbeat_ms, claim_id = NULL,
      token = excluded.token, worker_id = excluded.worker_id, leased_at = excluded.leased_at,
      deadline = excluded.deadline, header = excluded.header, parameters = excluded.parameters;
  IF requests @? '$[*].timers' THEN
    INSERT INTO timers (execution, partition, execution_id, id, at, due)
      SELECT owners[n::int], (r->>'partition')::int, r->>'execution', id, at, at
      FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n),
        jsonb_to_recordset(r->'timers') t (id text, at bigint)
      WHERE owners[n::int] > 0
      ON CONFLICT (execution, id) DO UPDATE
      SET at = excluded.at, due = excluded.due, claim_id = NULL;
  END IF;
  IF requests @? '$[*].messages' THEN
    INSERT INTO messages (execution, partition, execution_id, id, body, deliveries, visible_at)
      SELECT owners[n::int], (r->>'partition')::int, r->>'execution', id, body, 0,
        (r->>'now')::bigint
      FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n),
        jsonb_to_recordset(r->'messages') m (id text, body text)
      WHERE owners[n::int] > 0
      ON CONFLICT (execution, id) DO UPDATE SET number = excluded.number, body = excluded.body,
        deliveries = 0, visible_at = excluded.visible_at, claim_id = NULL;
  END IF;
  INSERT INTO history (execution, sequence, entry)
    SELECT owners[n::int], known[n::int] + h.m, entry
    FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n),
      jsonb_array_elements_text(r->'history') WITH ORDINALITY h (entry, m)
    WHERE owners[n::int] > 0;
END $$;

-- `owners`: by entry, the number that its execution gets.
CREATE FUNCTION create_executions(requests jsonb, owners bigint[]) RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
  created int;
BEGIN
  INSERT INTO executions (number, partition, id, workflow, version, status, started_at, ended_at,
      correlation_id, parent, is_inline, created_by, request_hash, revision, commit_id, recent, held,
      history, state)
    SELECT owners[n::int], (r->>'partition')::int, r->>'execution', l.workflow, l.version,
      l.status, l."startedAt", l."endedAt", l."correlationId", l.parent, l.inline, r->>'commitId',
      r->>'requestHash', 1, r->>'commitId', ARRAY[r->>'commitId'], false,
      coalesce(jsonb_array_length(r->'history'), 0), r->>'state'
    FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n),
      jsonb_to_record(r->'listing') l (workflow text, version int, status text,
        "startedAt" bigint, "endedAt" bigint, "correlationId" text, parent text, inline boolean)
    WHERE r->>'do' = 'create' AND owners[n::int] > 0
    ORDER BY r->>'execution' COLLATE "C"
    ON CONFLICT (partition, id) DO NOTHING;
  GET DIAGNOSTICS created = ROW_COUNT;
  IF created < (SELECT count(*) FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
    WHERE r->>'do' = 'create' AND owners[n::int] > 0)
  THEN
    RAISE 'created by another call at the same time' USING ERRCODE = 'serialization_failure';
  END IF;
END $$;

-- At most one entry of a call commits, creates or removes the same execution. Returns an answer for
-- each, in their order; null: done as asked; "missing": there is no such execution.
CREATE FUNCTION change(requests jsonb) RETURNS text LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_memoize = off
SET jit = off
SET plan_cache_mode = force_generic_plan
SET lock_timeout = '5s'
AS $$
DECLARE
  size int := jsonb_array_length(requests);
  answers jsonb[] := array_fill('"missing"'::jsonb, ARRAY[size]);
  -- By entry, of what is to be written: number of the execution, whether it is held, entries of its
  -- history.
  owners bigint[] := array_fill(0, ARRAY[size]);
  holds boolean[] := array_fill(false, ARRAY[size]);
  known int[] := array_fill(0, ARRAY[size]);
  answer jsonb;
  ending int := 0;
  ended int[];
  x record;
BEGIN
  FOR x IN SELECT n::int, r, number, revision, commit_id, recent, held, history,
      tombstone_until IS NOT NULL AS is_buried
    FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
    JOIN executions ON partition = (r->>'partition')::int AND id = r->>'execution'
    ORDER BY id FOR UPDATE OF executions
  LOOP
    CONTINUE WHEN x.is_buried AND x.r->>'do' NOT IN ('create', 'remove');
    CASE x.r->>'do'
      WHEN 'commit' THEN
        IF x.r->>'commitId' = ANY (x.recent) THEN
          answer := jsonb_build_object('outcome', 'already_committed', 'head',
            head_of(x.revision, x.commit_id));
        ELSIF x.revision <> (x.r->>'revision')::bigint
          OR x.commit_id <> x.r->>'expected' THEN
          answer := jsonb_build_object('outcome', 'conflict', 'head',
            head_of(x.revision, x.commit_id));
        ELSIF has_several_checks(x.r) THEN
          answer := refuse_stale(x.number, x.r);
        ELSE answer := NULL;
        END IF;
        IF answer IS NULL THEN
          owners[x.n] := x.number;
          holds[x.n] := x.held;
          known[x.n] := x.history;
          answers[x.n] := 'null';
          IF x.r ? 'ends' THEN ending := ending + 1; END IF;
        ELSE answers[x.n] := answer;
        END IF;
      WHEN 'create' THEN
        answers[x.n] := coalesce(answer_existing(x.number, x.r), answers[x.n]);
      WHEN 'remove' THEN answers[x.n] := remove_execution(x.number, x.r);
      WHEN 'extend' THEN answers[x.n] := extend_lease(x.number, x.r);
      WHEN 'release' THEN answers[x.n] := release_task(x.number, x.held, x.r);
      WHEN 'ticket' THEN answers[x.n] := claim_ticket(x.number, x.held, x.r);
      WHEN 'ack' THEN
        DELETE FROM messages WHERE execution = x.number AND id = x.r->>'id';
        answers[x.n] := 'null';
    END CASE;
  END LOOP;
  IF requests @? '$[*] ? (@.do == "create")' THEN
    SELECT array_agg(CASE WHEN r->>'do' = 'create' AND answers[n::int] = '"missing"'
        THEN nextval('executions_number_seq') ELSE owners[n::int] END ORDER BY n)
      INTO owners FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n);
    PERFORM create_executions(requests, owners);
    answers := ARRAY(SELECT CASE WHEN r->>'do' = 'create' AND owners[n::int] > 0 THEN 'null'
      ELSE answers[n::int] END FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      ORDER BY n);
  END IF;
  IF ending > 0 THEN
    WITH gone AS (
      DELETE FROM tasks t USING jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE execution = owners[n::int]
        AND id = ANY (ARRAY(SELECT a->>'taskId' FROM jsonb_array_elements(r->'ends') a))
        AND (has_several_checks(r) OR may_end(t, r->'ends'->0))
      RETURNING n::int)
    SELECT array_agg(DISTINCT n) INTO ended FROM gone;
    IF coalesce(cardinality(ended), 0) < ending THEN
      -- Of a commit with one condition, the deletion was the check.
      FOR x IN SELECT n::int, r FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
        WHERE r ? 'ends' AND owners[n::int] > 0 AND n <> ALL (coalesce(ended, '{}'))
      LOOP
        owners[x.n] := 0;
        answers[x.n] := jsonb_build_object('outcome', 'stale', 'tasks',
          jsonb_build_array(x.r->'ends'->0->'taskId'), 'timers', '[]'::jsonb);
      END LOOP;
    END IF;
  END IF;
  IF requests @? '$[*].consumeTimers' THEN
    DELETE FROM timers USING jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE execution = owners[n::int]
        AND id = ANY (ARRAY(SELECT c->>'id' FROM jsonb_array_elements(r->'consumeTimers') c));
  END IF;
  IF requests @? '$[*].hold' THEN
    FOR x IN SELECT n::int, owners[n::int] AS owner, (r->>'hold')::boolean AS hold,
        (r->>'now')::bigint AS moment
      FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE owners[n::int] > 0 AND (r->>'hold')::boolean <> holds[n::int]
    LOOP
      holds[x.n] := x.hold;
      answers[x.n] := jsonb_build_object('offered', hold_tasks(x.owner, x.hold, x.moment));
    END LOOP;
  END IF;
  IF 0 < ANY (owners) THEN
    PERFORM apply_entries(requests, owners, holds, known);
    UPDATE executions old SET revision = old.revision + 1, commit_id = e."commitId",
      recent = (old.recent || e."commitId")[
        greatest(1, cardinality(old.recent) + 2 - ${commitIdsKept}):],
      held = holds[n::int], state = e.state, status = e.status, ended_at = e."endedAt",
      history = old.history + coalesce(jsonb_array_length(e.history), 0)
      FROM ROWS FROM (jsonb_to_recordset(requests) AS ("do" text, "commitId" text, state text,
        status text, "endedAt" bigint, history jsonb)) WITH ORDINALITY
        AS e ("do", "commitId", state, status, "endedAt", history, n)
      WHERE e."do" = 'commit' AND old.number = owners[n::int];
  END IF;
  IF requests @? '$[*] ? (@.do == "remove")' THEN
    PERFORM purge((r->>'partition')::int, (r->>'now')::bigint, ${purgedPerRemoval})
      FROM jsonb_array_elements(requests) WITH ORDINALITY e (r, n)
      WHERE answers[n::int] = '"removed"';
  END IF;
  RETURN to_jsonb(answers)::text;
END $$;
