import type { Control } from '../../api/control.ts';
import type { DeskQuestion } from '../../events/desk.ts';
import { eventsError } from '../../events/errors.ts';
import type { AgentParts } from '../monitoring/status-report.ts';

type EventsControl = Pick<
  Control,
  'deadLetters' | 'deadLetter' | 'retryDeadLetters' | 'dropDeadLetters' | 'testEvents'
>;

/** What the control socket asks of the events, handed on to their worker. Each throws EVENTS_…. */
export function eventsDesk(parts: Pick<AgentParts, 'events'>): EventsControl {
  async function ask(question: DeskQuestion): Promise<unknown> {
    if (parts.events === undefined) throw eventsError('EVENTS_NOT_SHIPPED');
    return parts.events.ask(question);
  }

  return {
    deadLetters: (after) => ask({ what: 'letters', after }),
    deadLetter: (id) => ask({ what: 'letter', id }),
    retryDeadLetters: (ids, isNow) => ask({ what: 'retry', ids, isNow }),
    dropDeadLetters: (ids) => ask({ what: 'drop', ids }),
    testEvents: (source) => ask({ what: 'test', source }),
  };
}
