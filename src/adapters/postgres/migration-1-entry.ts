/**
 * What servers may call to write: it has the rights of the tables' owner. Its statements, and those of what it calls, are planned
 * once: a write touches few rows, each by its index, however few rows a table has when the plan is made. Without that,
 * planning takes longer than doing, and plans that read whole tables outlive the time when these were small.
 */
export const ENTRY = `SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET jit = off`;
