/** A holder that has dispatched nothing under its lease gives it away with its epoch: whoever comes next goes on under it. */
export const handOver = `
DROP FUNCTION {s}.offer(text);
CREATE FUNCTION {s}.offer(p_name text, p_unused_holder text, p_unused_epoch bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_epoch bigint;
  v_unused boolean;
  l {s}.leases;
BEGIN
  LOOP
    SELECT * INTO l FROM {s}.leases WHERE tenant = v_tenant AND name = p_name FOR UPDATE;
    v_unused := coalesce(l.holder = p_unused_holder AND l.epoch = p_unused_epoch, false);
    IF NOT v_unused AND (l.holder = '' OR {s}.lives(l)) THEN RETURN jsonb_build_array(l.holder, l.epoch); END IF;
    v_epoch := CASE WHEN v_unused THEN l.epoch ELSE coalesce(l.epoch, 0) + 1 END;
    IF l.name IS NULL THEN
      INSERT INTO {s}.leases VALUES (v_tenant, p_name, '', v_epoch, NULL, NULL) ON CONFLICT DO NOTHING;
    ELSE
      UPDATE {s}.leases SET holder = '', epoch = v_epoch, expires_at = NULL, address = NULL
        WHERE tenant = v_tenant AND name = p_name;
    END IF;
    IF FOUND THEN RETURN jsonb_build_array('', v_epoch); END IF;
  END LOOP;
END $$;
`;
