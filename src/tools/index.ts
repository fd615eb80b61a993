import { cancelActionRun } from './cancel-action-run.ts';
import { findChanges } from './find-changes.ts';
import { getActionRun } from './get-action-run.ts';
import { getBlock } from './get-block.ts';
import { getStatus } from './get-status.ts';
import { listBlocks } from './list-blocks.ts';
import { listWorkspaces } from './list-workspaces.ts';
import { planAction } from './plan-action.ts';
import { readActionRunLog } from './read-action-run-log.ts';
import { retriggerActionRun } from './retrigger-action-run.ts';
import { runAction } from './run-action.ts';
import { runWorkflow } from './run-workflow.ts';
import { searchActionRuns } from './search-action-runs.ts';
import { searchTrail } from './search-trail.ts';
import { summarizeActionRuns } from './summarize-action-runs.ts';
import type { Tool } from './tool.ts';
import { traceVersions } from './trace-versions.ts';
import { waitForActionRun } from './wait-for-action-run.ts';

/** The product, in the order of tools/list. The first one only reads and needs no argument. */
export const tools: readonly Tool[] = [
  getStatus,
  listWorkspaces,
  listBlocks,
  getBlock,
  planAction,
  runAction,
  runWorkflow,
  retriggerActionRun,
  waitForActionRun,
  cancelActionRun,
  searchActionRuns,
  getActionRun,
  readActionRunLog,
  summarizeActionRuns,
  traceVersions,
  findChanges,
  searchTrail,
];
