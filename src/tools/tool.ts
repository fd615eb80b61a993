import type { z } from 'zod';
import type { Plan } from '../actions/plan.ts';
import type { RemotePlan } from '../actions/remote-plan.ts';
import type { WorkflowPlan } from '../actions/workflow-plan.ts';
import type { Decision } from '../actions/policy.ts';
import type { Caller, Consent } from '../runs/start.ts';
import type { Telling } from '../runs/untold.ts';
import { questionOf } from '../runs/question.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { CallEntry } from '../runs/trail.ts';
import type { Services } from './services.ts';

/** What one call of a tool does at its worst; hints, read-only filtering and order derive from it. */
export type Effect = 'reads' | 'changes' | 'destroys';

/** One call: who asks, how to stop waiting, how to tell progress, and a human's verified answer if there is one. */
export interface ToolCall {
  caller: Caller;
  signal: AbortSignal;
  /** Set only if the client asked for progress. */
  progress: ((message: string, elapsed_ms: number) => void) | undefined;
  consent: Consent | null;
  /** The client cannot ask its user, and what a human has to agree to may wait for others instead. */
  desk: boolean;
  telling: Telling;
  /** How the call is recorded; a launch goes through it. */
  entry: CallEntry;
}

/** Nothing happened yet: the server has to ask a human about this plan and call again. */
export interface ApprovalNeeded {
  ask: { plan: Plan | WorkflowPlan | RemotePlan; decision: Decision } | Question;
}

/** What a human is to be asked, where a runner made the plan and said it in words. */
export interface Question extends Pick<Decision, 'rule' | 'why'> {
  digest: string;
  question: string;
}

export function questionFor(
  tool: string,
  ask: ApprovalNeeded['ask'],
  redaction: Pick<Redaction, 'text'>,
): Question {
  if ('question' in ask) return ask;
  const { plan, decision } = ask;
  const { rule, why } = decision;
  return { digest: plan.digest, question: questionOf(tool, ask, redaction), rule, why };
}

export interface Tool {
  /** verb_noun; the file has the same name with dashes. */
  name: string;
  title: string;
  description: string;
  effect: Effect;
  /** True where repeating a call changes nothing more. */
  idempotent: boolean;
  /** True where answers hold foreign text (logs) or a call reaches other systems. */
  openWorld: boolean;
  input: z.ZodObject;
  output: z.ZodObject;
  run(services: Services, input: never, call: ToolCall): Promise<object>;
}

interface ToolDeclaration<Input extends z.ZodObject, Output extends z.ZodObject> extends Omit<
  Tool,
  'input' | 'output' | 'run'
> {
  input: Input;
  output: Output;
  run(services: Services, input: z.output<Input>, call: ToolCall): Promise<z.input<Output> | ApprovalNeeded>;
}

/** Returns its argument; exists so that the handler's types follow from the schemas. */
export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(
  tool: ToolDeclaration<Input, Output>,
): Tool {
  return tool;
}

export function isApprovalNeeded(result: object): result is ApprovalNeeded {
  return 'ask' in result;
}
