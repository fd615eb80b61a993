export interface Operation {
  operationId: string;
}
export function operationOf(
  method: string,
  path: string,
): { operation: Operation | null; allowed: string[]; values: Record<string, string> };
export function requestFaults(
  operation: Operation,
  request: { query: URLSearchParams; values: Record<string, string>; body: unknown },
): string[];
export function answerFaults(operation: Operation, answer: { status: number; body: unknown }): string[];
