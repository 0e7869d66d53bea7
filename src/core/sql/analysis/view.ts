import type { View } from '../../schema/catalogue.ts';
import type { Trigger } from '../../schema/table.ts';
import type { CreateTrigger, Select } from '../ast.ts';
import { parseStatement } from '../parse.ts';
import { refuse } from './refusal.ts';

const VIEWS = new WeakMap<View, Select>();
const TRIGGERS = new WeakMap<Trigger, CreateTrigger>();

/** A view's SELECT. Its spans are offsets into the view's own text. */
export function viewSelect(view: View): Select {
  const known = VIEWS.get(view);
  if (known !== undefined) return known;
  const { statement } = parseStatement(view.sql);
  if (statement.kind !== 'create-view')
    return refuse('unsupported', `the view "${view.name}" cannot be read`);
  VIEWS.set(view, statement.select);
  return statement.select;
}

export function triggerStatement(trigger: Trigger): CreateTrigger {
  const known = TRIGGERS.get(trigger);
  if (known !== undefined) return known;
  const { statement } = parseStatement(trigger.sql);
  if (statement.kind !== 'create-trigger') {
    return refuse('unsupported', `the trigger "${trigger.name}" cannot be read`);
  }
  TRIGGERS.set(trigger, statement);
  return statement;
}
