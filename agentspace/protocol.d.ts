/**
 * The messages of the wire: `ClientMessage` is all that a client sends, `ServerMessage` all that
 * the gateway does. A gateway that is newer than this file may send further fields and values.
 *
 * Written by scripts/generate_typescript from the protocol's schema; not by hand.
 */

/**
 * A message of the AgentSpace protocol, version 1.
 */
export type AgentSpaceMessage = ClientMessage | ServerMessage;
/**
 * What the client sends. `type` tells which message it is.
 */
export type ClientMessage =
  | ChatSend
  | ChatCancel
  | ChatResume
  | ContextInspect
  | UsageQuery
  | SessionCreate
  | SessionList
  | SessionHistory
  | SessionDelete
  | ModelList
  | ToolApprovalResponse
  | ToolOutput
  | GatewayStatus
  | Ping;
/**
 * 1 to 64 of `A-Za-z0-9_.:-`.
 */
export type Id = string;
/**
 * A model's name, as `model.list` tells it, or as a cloud spells it.
 */
export type ModelId = string;
/**
 * An id that cannot begin with a dot or a sign: it names a folder.
 */
export type AgentId = string;
/**
 * The best thinking that the model has (`auto`), or the least (`off`).
 */
export type ThinkingChoice = "auto" | "off";
/**
 * How much work the model puts into an answer.
 */
export type Effort = "low" | "medium" | "high" | "xhigh" | "max";
/**
 * What becomes of a turn when its connection is lost: it goes on and can be resumed for a while (`detach`), or it ends (`cancel`).
 */
export type OnDisconnect = "detach" | "cancel";
/**
 * A tool's name, as the model sees it.
 */
export type ToolName = string;
/**
 * A tool that the provider runs itself.
 */
export type ServerTool = "web_search" | "web_fetch" | "code_execution";
/**
 * A domain without `https://`; a path may follow.
 */
export type Domain = string;
/**
 * The model decides (`auto`), must call one of the tools (`any`), or calls none (`none`).
 */
export type ToolChoice = "auto" | "any" | "none";
/**
 * How long the provider keeps the prompt in its cache.
 */
export type CacheTtl = "5m" | "1h";
/**
 * An id that does not reveal a person: no mail address, and no blanks as in a name.
 */
export type OpaqueId = string;
/**
 * A date, or a date and time, of ISO 8601. Without an offset it is UTC.
 */
export type Timestamp = string;
/**
 * What the gateway sends. `type` tells which message it is.
 */
export type ServerMessage =
  | GatewayHello
  | SessionCreated
  | ChatStreamStart
  | ChatStreamDelta
  | ChatStreamReasoning
  | ChatStreamSource
  | ToolCall
  | ToolResult
  | ToolError
  | ToolApprovalRequest
  | ChatStreamNotice
  | ChatStreamEnd
  | ErrorMessage
  | ContextInspection
  | UsageReport
  | SessionListing
  | SessionHistoryPage
  | SessionDeleted
  | ModelListing
  | GatewayStatusReport
  | Pong
  | GatewayDraining;
/**
 * The price class of a model that the gateway chose.
 */
export type Tier = "high" | "standard" | "budget";
/**
 * Prose, or a block of code from its opening fence to its closing one, both included.
 */
export type ContentType = "text" | "code";
/**
 * How much harm a tool can do, as its server tells it.
 */
export type Risk = "low" | "medium" | "high";
/**
 * Who must agree to a call: nobody (`auto`); a person, until told that the session may (`session`); a person each time (`always`).
 */
export type Approval = "auto" | "session" | "always";
/**
 * `retry`: the provider could not answer and is asked again. `thinking_dropped`: the model goes on without some of its earlier thinking. `window`: the conversation is too long for the model, and its oldest turns are not sent.
 */
export type NoticeKind = "retry" | "thinking_dropped" | "window";
/**
 * An exact decimal number of US dollars.
 */
export type Usd = number;
/**
 * What kind of failure it is. Programs decide by it.
 */
export type ErrorCode =
  | "INVALID_MESSAGE"
  | "UNAUTHORIZED"
  | "STREAM_IN_PROGRESS"
  | "SESSION_BUSY"
  | "SESSION_NOT_FOUND"
  | "REQUEST_NOT_FOUND"
  | "TURN_NOT_FOUND"
  | "NO_API_KEY"
  | "MODEL_NOT_FOUND"
  | "CONTEXT_TOO_LARGE"
  | "BUDGET_EXCEEDED"
  | "RATE_LIMITED"
  | "OVERLOADED"
  | "LLM_TIMEOUT"
  | "LLM_ERROR"
  | "TOOL_ERROR"
  | "DRAINING"
  | "INTERNAL_ERROR";
/**
 * A section of the context, in the order in which they are sent. `provider_overhead` is what the provider adds of its own: it has tokens, but no text.
 */
export type SectionName =
  | "system_prompt"
  | "response_format"
  | "memory"
  | "skills"
  | "tools"
  | "history"
  | "user_message"
  | "provider_overhead";
/**
 * Who wrote a message.
 */
export type Role = "user" | "assistant";
/**
 * Why a stored message is not whole: the answer broke off (`partial`), the question never got one (`unanswered`), or the provider refused it (`refused`).
 */
export type HistoryStatus = "partial" | "unanswered" | "refused";
/**
 * Whether a model is offered, about to go, or gone.
 */
export type Lifecycle = "active" | "deprecated" | "retired";
/**
 * Whether the ledger can be written: another process has locked it (`locked`), or the disk is full (`full`).
 */
export type LedgerState = "ok" | "locked" | "full";

/**
 * Ask the model.
 *
 * A session remembers its model, system prompt and tools; all else holds for one turn. Sent again
 * with the same `id` and `sessionId`, it gets the turn that it has started, and is billed once.
 */
export interface ChatSend {
  /**
   * Tells what it is.
   */
  type: "chat.send";
  /**
   * What the user says.
   */
  content: string | (TextBlock | ImageBlock | DocumentBlock)[];
  /**
   * The session that it belongs to. Without it a new one is made.
   */
  sessionId?: Id | null;
  /**
   * The model to ask; else the session's, else the gateway's default.
   */
  model?: ModelId | null;
  /**
   * Whose memory and skills a new session has; `default` when unset.
   */
  agentId?: AgentId | null;
  /**
   * The system prompt, from this turn on.
   */
  system?: string | null;
  /**
   * The most tokens of the answer; else the gateway's settings tell.
   */
  maxTokens?: number | null;
  /**
   * How the model thinks before it answers.
   */
  thinking?: ThinkingChoice | ThinkingBudget;
  /**
   * How much work the model puts into the answer; else the model decides.
   */
  effort?: Effort | null;
  /**
   * What becomes of the turn when this connection is lost.
   */
  onDisconnect?: OnDisconnect;
  /**
   * The most US dollars that the turn may cost.
   */
  maxCost?: number | null;
  /**
   * The tools that the client runs, from this turn on.
   */
  tools?: ToolDeclaration[] | null;
  /**
   * The tools that the provider runs, from this turn on.
   */
  serverTools?: (ServerTool | ServerToolOptions)[] | null;
  /**
   * Which tool the model must call in the turn's first request; else it decides.
   */
  toolChoice?: ToolChoice | OneTool | null;
  /**
   * Texts at which the model stops.
   */
  stopSequences?: [string, ...string[]] | null;
  /**
   * What the answer must be like.
   */
  outputFormat?: OutputFormat | null;
  /**
   * How freely the model chooses its words, where it takes that.
   */
  temperature?: number | null;
  /**
   * Words beyond this share of likelihood are not chosen, where the model takes that.
   */
  topP?: number | null;
  /**
   * So many of the likeliest words are chosen from, where the model takes that.
   */
  topK?: number | null;
  /**
   * How long the provider is to keep the prompt; else 5 minutes.
   */
  cacheTtl?: CacheTtl | null;
  /**
   * Who asks. The provider gets it, and looks for abuse by it.
   */
  userId?: OpaqueId | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * A piece of text.
 */
export interface TextBlock {
  /**
   * Tells what it is.
   */
  type: "text";
  /**
   * The text.
   */
  text: string;
}
/**
 * A picture.
 */
export interface ImageBlock {
  /**
   * Tells what it is.
   */
  type: "image";
  /**
   * Where its bytes are.
   */
  source: Base64Source | UrlSource;
}
/**
 * Bytes in base64 with their MIME type.
 */
export interface Base64Source {
  /**
   * Tells what it is.
   */
  type: "base64";
  /**
   * The MIME type, as image/png.
   */
  media_type: string;
  /**
   * The bytes in base64.
   */
  data: string;
}
/**
 * An address that the provider fetches itself.
 */
export interface UrlSource {
  /**
   * Tells what it is.
   */
  type: "url";
  /**
   * An https address.
   */
  url: string;
}
/**
 * A document, with an optional title and context that the model reads next to it.
 */
export interface DocumentBlock {
  /**
   * Tells what it is.
   */
  type: "document";
  /**
   * Where its bytes or its text are.
   */
  source: Base64Source | UrlSource | PlainTextSource;
  /**
   * The document's name, for the model.
   */
  title?: string | null;
  /**
   * What the model should know of the document.
   */
  context?: string | null;
  /**
   * Whether the model should cite it.
   */
  citations?: CitationsSwitch | null;
}
/**
 * A document's text, given inline; `media_type` is `text/plain`.
 */
export interface PlainTextSource {
  /**
   * Tells what it is.
   */
  type: "text";
  /**
   * The text.
   */
  data: string;
  /**
   * Always text/plain.
   */
  media_type?: string;
}
/**
 * Whether the model should cite the document.
 */
export interface CitationsSwitch {
  /**
   * Whether it should.
   */
  enabled: boolean;
}
/**
 * A budget of thinking tokens for models that take one; the provider's least is 1024.
 */
export interface ThinkingBudget {
  /**
   * The most tokens of thinking in one request.
   */
  budgetTokens: number;
}
/**
 * A tool that the client itself runs.
 */
export interface ToolDeclaration {
  /**
   * What the model calls it.
   */
  name: ToolName;
  /**
   * What it does, for the model.
   */
  description: string;
  /**
   * JSON Schema of its arguments, an object.
   */
  inputSchema: {};
  /**
   * Whether the model's arguments must follow the schema.
   */
  strict?: boolean;
  /**
   * Whether the model looks for the tool only when it needs it.
   */
  deferLoading?: boolean;
  /**
   * Arguments as they may be.
   *
   * @maxItems 16
   */
  inputExamples?: {}[];
}
/**
 * A tool that the provider runs itself: how often a request may use it, and where.
 */
export interface ServerToolOptions {
  /**
   * The tool.
   */
  name: ServerTool;
  /**
   * How often a request may use it.
   */
  maxUses?: number | null;
  /**
   * Only these are searched.
   */
  allowedDomains?: [Domain, ...Domain[]] | null;
  /**
   * These are not searched.
   */
  blockedDomains?: [Domain, ...Domain[]] | null;
  /**
   * Where the user is, for a search.
   */
  userLocation?: UserLocation | null;
}
/**
 * About where the user is, for a search.
 */
export interface UserLocation {
  /**
   * A city.
   */
  city?: string | null;
  /**
   * A region or state.
   */
  region?: string | null;
  /**
   * Two letters of ISO 3166-1.
   */
  country?: string | null;
  /**
   * IANA's name, as Europe/Berlin.
   */
  timezone?: string | null;
}
/**
 * The tool that the model is to use.
 */
export interface OneTool {
  /**
   * The tool's name.
   */
  name: ToolName;
}
/**
 * A JSON Schema that the answer must follow: its text is that JSON.
 */
export interface OutputFormat {
  /**
   * JSON Schema that the answer's text follows.
   */
  schema: {};
}
/**
 * Stop a turn, named by `requestId` or by `turnId`; its own last frame answers.
 */
export interface ChatCancel {
  /**
   * Tells what it is.
   */
  type: "chat.cancel";
  /**
   * The `id` of the request that started the turn.
   */
  requestId?: Id | null;
  /**
   * The turn's id, instead.
   */
  turnId?: Id | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * Take up a turn's events after `after` (all of them when absent), then the live ones.
 */
export interface ChatResume {
  /**
   * Tells what it is.
   */
  type: "chat.resume";
  /**
   * The turn, as `chat.stream.start` told it.
   */
  turnId: Id;
  /**
   * The last `seq` that was seen; without it the turn is told from its start.
   */
  after?: number | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * What the next request would weigh, with `content` as the user's message.
 */
export interface ContextInspect {
  /**
   * Tells what it is.
   */
  type: "context.inspect";
  /**
   * The session.
   */
  sessionId: Id;
  /**
   * The user's next message.
   */
  content?: string | (TextBlock | ImageBlock | DocumentBlock)[] | null;
  /**
   * The model to ask; else the session's.
   */
  model?: ModelId | null;
  /**
   * Whether the provider is to count the tokens too.
   */
  exact?: boolean;
  /**
   * A turn that was sent: what it was estimated at, and billed, is told too.
   */
  turnId?: Id | null;
  /**
   * What the answer would have to be like.
   */
  outputFormat?: OutputFormat | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * What was billed.
 */
export interface UsageQuery {
  /**
   * Tells what it is.
   */
  type: "usage.query";
  /**
   * Of this session alone.
   */
  sessionId?: Id | null;
  /**
   * From then on, inclusive.
   */
  since?: Timestamp | null;
  /**
   * Up to then, exclusive.
   */
  until?: Timestamp | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * Make an empty session.
 */
export interface SessionCreate {
  /**
   * Tells what it is.
   */
  type: "session.create";
  /**
   * The session's model; else the gateway's default.
   */
  model?: ModelId | null;
  /**
   * Whose memory and skills it has.
   */
  agentId?: AgentId | null;
  /**
   * Its system prompt.
   */
  system?: string | null;
  /**
   * A name for people.
   */
  title?: string | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * A page of the sessions, the most recently active first.
 */
export interface SessionList {
  /**
   * Tells what it is.
   */
  type: "session.list";
  /**
   * How many at most.
   */
  limit?: number | null;
  /**
   * A former page's `next`.
   */
  before?: Id | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * A page of a session's messages, the newest page first, oldest first within it.
 */
export interface SessionHistory {
  /**
   * Tells what it is.
   */
  type: "session.history";
  /**
   * The session.
   */
  sessionId: Id;
  /**
   * How many messages at most.
   */
  limit?: number | null;
  /**
   * A former page's `next`.
   */
  before?: Id | null;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * Forget a session's messages; what it was billed stays in the usage.
 */
export interface SessionDelete {
  /**
   * Tells what it is.
   */
  type: "session.delete";
  /**
   * The session.
   */
  sessionId: Id;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * The models that the provider offers.
 */
export interface ModelList {
  /**
   * Tells what it is.
   */
  type: "model.list";
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * A person's answer to `tool.approval.request`.
 */
export interface ToolApprovalResponse {
  /**
   * Tells what it is.
   */
  type: "tool.approval.response";
  /**
   * The call, as `tool.approval.request` told it.
   */
  toolCallId: Id;
  /**
   * Whether the tool may run.
   */
  approved: boolean;
  /**
   * Whether it may do so for the rest of the session, unasked.
   */
  sessionApprove?: boolean;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * The result of a tool that the client ran.
 */
export interface ToolOutput {
  /**
   * Tells what it is.
   */
  type: "tool.output";
  /**
   * The call, as `tool.call` told it.
   */
  toolCallId: Id;
  /**
   * What the model is told.
   */
  content: string | (TextBlock | ImageBlock | DocumentBlock)[];
  /**
   * Whether the tool failed.
   */
  isError?: boolean;
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * The gateway's figures, now.
 */
export interface GatewayStatus {
  /**
   * Tells what it is.
   */
  type: "gateway.status";
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * Is anybody there?
 */
export interface Ping {
  /**
   * Tells what it is.
   */
  type: "ping";
  /**
   * Chosen by the client; answers echo it as `requestId`.
   */
  id: Id;
}
/**
 * The first frame for a client that asked for a subprotocol.
 */
export interface GatewayHello {
  /**
   * Tells what it is.
   */
  type: "gateway.hello";
  /**
   * The protocol's version: 1.
   */
  protocol: number;
  /**
   * The gateway's version.
   */
  version: string;
  /**
   * This connection, as the gateway's log names it.
   */
  connectionId: string;
  /**
   * The model of whoever names none.
   */
  defaultModel: string;
  /**
   * What the gateway takes.
   */
  limits: Limits;
  /**
   * What else it can do, by name.
   */
  features: string[];
}
/**
 * What the gateway takes: of one message, sessions on a page, requests at once.
 *
 * A message is bounded in bytes and in values: elements of lists and members of objects.
 */
export interface Limits {
  /**
   * Bytes of one message.
   */
  maxMessageBytes: number;
  /**
   * Sessions or messages on one page of a list.
   */
  maxSessions: number;
  /**
   * Questions of one connection that wait for an answer.
   */
  maxPendingRequests: number;
  /**
   * Elements of lists and members of objects in one message.
   */
  maxMessageValues?: number;
  /**
   * Blocks of one content.
   */
  maxContentBlocks?: number;
  /**
   * Values in one JSON Schema.
   */
  maxSchemaNodes?: number;
  /**
   * Levels of one JSON Schema.
   */
  maxSchemaDepth?: number;
}
/**
 * A session exists.
 */
export interface SessionCreated {
  /**
   * Tells what it is.
   */
  type: "session.created";
  /**
   * The session.
   */
  sessionId: string;
  /**
   * `agent:{agentId}:{sessionId}`
   */
  sessionKey: string;
  /**
   * The `id` of the request that this answers.
   */
  requestId?: string;
}
/**
 * A turn has been admitted and is on its way to the provider; exactly one a turn.
 */
export interface ChatStreamStart {
  /**
   * Tells what it is.
   */
  type: "chat.stream.start";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The session.
   */
  sessionId: string;
  /**
   * The model that is asked.
   */
  model: string;
  /**
   * The turn.
   */
  turnId: string;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
  /**
   * Why it is that model, when the gateway chose it.
   */
  routing?: Routing;
}
/**
 * Why a turn has its model, when the gateway chose it.
 */
export interface Routing {
  /**
   * The price class.
   */
  tier: Tier;
  /**
   * Why, for a person.
   */
  reason: string;
}
/**
 * Text; `code` from an opening fence to its closing fence, both included.
 */
export interface ChatStreamDelta {
  /**
   * Tells what it is.
   */
  type: "chat.stream.delta";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The next piece of the answer.
   */
  delta: string;
  /**
   * What the piece is of; `text` when it is not said.
   */
  contentType?: ContentType;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
}
/**
 * Reasoning text.
 */
export interface ChatStreamReasoning {
  /**
   * Tells what it is.
   */
  type: "chat.stream.reasoning";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The next piece of the reasoning.
   */
  delta: string;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
}
/**
 * A url source; each url once a turn.
 */
export interface ChatStreamSource {
  /**
   * Tells what it is.
   */
  type: "chat.stream.source";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The source.
   */
  source: Source;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
}
/**
 * Where an answer comes from.
 */
export interface Source {
  /**
   * Its address.
   */
  url: string;
  /**
   * Its title.
   */
  title?: string;
  /**
   * The provider's id of a file that it made.
   */
  fileId?: string;
}
/**
 * The model calls a tool; `args` are whole. With `clientSide` the client answers.
 */
export interface ToolCall {
  /**
   * Tells what it is.
   */
  type: "tool.call";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The call.
   */
  toolCallId: string;
  /**
   * The tool's name.
   */
  toolName: string;
  /**
   * Its arguments, whole.
   */
  args: {};
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
  /**
   * True when the client is to run it and answer with `tool.output`.
   */
  clientSide?: boolean;
}
/**
 * What a tool answered.
 */
export interface ToolResult {
  /**
   * Tells what it is.
   */
  type: "tool.result";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The call.
   */
  toolCallId: string;
  /**
   * The tool's name.
   */
  toolName: string;
  /**
   * What it answered: a text, or blocks in the provider's shapes.
   */
  result: unknown;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
}
/**
 * Why a tool did not answer.
 */
export interface ToolError {
  /**
   * Tells what it is.
   */
  type: "tool.error";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The call.
   */
  toolCallId: string;
  /**
   * The tool's name.
   */
  toolName: string;
  /**
   * What went wrong, for the model and for a person.
   */
  error: string;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
}
/**
 * May this tool run? When its `approval` is `always`, `sessionApprove` is of no effect.
 */
export interface ToolApprovalRequest {
  /**
   * Tells what it is.
   */
  type: "tool.approval.request";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The call.
   */
  toolCallId: string;
  /**
   * The tool's name.
   */
  toolName: string;
  /**
   * Its arguments, whole.
   */
  args: {};
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
  /**
   * How much harm it can do.
   */
  risk?: Risk;
  /**
   * With `always`, `sessionApprove` is of no effect.
   */
  approval?: Approval;
}
/**
 * Something that a person who waits should know; only for clients that got a hello.
 */
export interface ChatStreamNotice {
  /**
   * Tells what it is.
   */
  type: "chat.stream.notice";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
  /**
   * What has happened.
   */
  kind: NoticeKind;
  /**
   * The same, for a person.
   */
  message: string;
  /**
   * Milliseconds until the provider is asked again.
   */
  retryAfterMs?: number;
}
/**
 * The turn's last frame, with the provider's stop reason or one of the gateway's.
 *
 * `cancelled`, `budget` (`maxCost` is spent), `max_steps` (too many requests of one turn) and
 * `repetition` (the model called tools in a circle) are the gateway's. `usage` and `cost` are the
 * sums of `steps`.
 */
export interface ChatStreamEnd {
  /**
   * Tells what it is.
   */
  type: "chat.stream.end";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The turn.
   */
  turnId: string;
  /**
   * The place among the turn's events, from 0; it only grows.
   */
  seq: number;
  /**
   * The provider's word, or `cancelled`, `budget`, `max_steps`, `repetition`.
   */
  stopReason: string;
  /**
   * What the turn was billed in tokens.
   */
  usage: Usage;
  /**
   * What that costs; `null` when the model has no known price.
   */
  cost: WireCost | null;
  /**
   * What of the history the model did not see.
   */
  context?: SentContext;
  /**
   * The turn's requests, when they are several.
   */
  steps?: StepUsage[];
  /**
   * Why the provider refused.
   */
  stopDetails?: StopDetails;
  /**
   * The model that answered, when it is another than was asked.
   */
  model?: string;
  /**
   * The client's text at which the model stopped.
   */
  stopSequence?: string;
}
/**
 * Tokens billed.
 */
export interface Usage {
  /**
   * All that the prompt was billed for, cached or not.
   */
  inputTokens: number;
  /**
   * All that the answer was billed for, reasoning included.
   */
  outputTokens: number;
  /**
   * Both together.
   */
  totalTokens: number;
  /**
   * The parts of `inputTokens`.
   */
  inputDetails: InputDetails;
  /**
   * The part of `outputTokens` that was reasoning.
   */
  outputDetails: OutputDetails;
  /**
   * Searches, which are billed one by one.
   */
  webSearches: number;
  /**
   * True when the provider never told the final figures.
   */
  estimated: boolean;
  /**
   * Where the model ran, as the provider says.
   */
  region?: string;
  /**
   * How fast it ran, as the provider says.
   */
  speed?: string;
}
/**
 * The parts of `inputTokens`: each is billed at its own price.
 */
export interface InputDetails {
  /**
   * Read anew.
   */
  uncached: number;
  /**
   * Read from the provider's cache.
   */
  cacheRead: number;
  /**
   * Written to its cache for 5 minutes.
   */
  cacheWrite5m: number;
  /**
   * Written to its cache for an hour.
   */
  cacheWrite1h: number;
}
/**
 * The part of `outputTokens` that was reasoning.
 */
export interface OutputDetails {
  /**
   * Tokens of reasoning.
   */
  thinking: number;
}
/**
 * USD, exact unless it is `estimated`.
 */
export interface WireCost {
  /**
   * Of the prompt.
   */
  inputCost: Usd;
  /**
   * Of the answer, searches included.
   */
  outputCost: Usd;
  /**
   * Both together.
   */
  totalCost: Usd;
  /**
   * True when it is not known for certain.
   */
  estimated?: boolean;
}
/**
 * What of the history the model did not see.
 *
 * What did not fit the window: whole turns were left out of the request, or the provider cleared
 * old tool results. And `epoch`, when with this turn the conversation began anew for the model: it
 * got the turns from before without their thinking.
 */
export interface SentContext {
  /**
   * Turns that did not fit the window.
   */
  leftOutTurns: number;
  /**
   * The messages of these.
   */
  leftOutMessages: number;
  /**
   * Old results of tools that the provider cleared.
   */
  clearedToolUses?: number;
  /**
   * The tokens of these.
   */
  clearedTokens?: number;
  /**
   * Thinking blocks that the provider found bound to another conversation.
   */
  droppedThinking?: number;
  /**
   * There when the conversation began anew for the model: which beginning it is.
   */
  epoch?: number;
}
/**
 * One of the requests that a turn with tools made of the provider.
 */
export interface StepUsage {
  /**
   * Why this answer stopped, in the provider's words.
   */
  stopReason: string;
  /**
   * What this request was billed.
   */
  usage: Usage;
}
/**
 * Why the provider refused: its `category`, and its own explanation.
 *
 * Either may be missing; the words are not guaranteed to be stable (the provider's page on
 * refusals, November 2026).
 */
export interface StopDetails {
  /**
   * The provider's word for it, such as `cyber`.
   */
  category?: string;
  /**
   * The provider's own explanation.
   */
  explanation?: string;
}
/**
 * A failure. It is a turn's last frame when its `requestId` is that of a stream.
 */
export interface ErrorMessage {
  /**
   * Tells what it is.
   */
  type: "error";
  /**
   * What kind of failure it is, for programs.
   */
  code: ErrorCode;
  /**
   * What happened and what to do, for a person.
   */
  message: string;
  /**
   * Whether the same request may succeed later.
   */
  retryable: boolean;
  /**
   * The `id` of the request that failed, when it is known.
   */
  requestId?: string;
  /**
   * The turn that failed, or the one that is in the way.
   */
  turnId?: string;
  /**
   * Milliseconds to wait before that.
   */
  retryAfterMs?: number;
  /**
   * What the turn was billed in tokens all the same.
   */
  usage?: Usage;
  /**
   * What that costs; `null` when the model has no known price.
   */
  cost?: WireCost | null;
  /**
   * What each section weighs, when the context is too large.
   */
  sections?: SectionWeight[];
  /**
   * Why the provider refused.
   */
  stopDetails?: StopDetails;
  /**
   * The model that answered, when it is another than was asked.
   */
  model?: string;
}
/**
 * A section without its text.
 */
export interface SectionWeight {
  /**
   * Which section it is.
   */
  name: SectionName;
  /**
   * UTF-8 bytes of it.
   */
  byteCount: number;
  /**
   * Tokens, estimated.
   */
  tokenEstimate: number;
  /**
   * `null` when the price is not known.
   */
  costEstimate: Usd | null;
}
/**
 * What the next request weighs.
 */
export interface ContextInspection {
  /**
   * Tells what it is.
   */
  type: "context.inspection";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The model that it is for.
   */
  model: string;
  /**
   * The parts of the context, in the order in which they are sent.
   */
  sections: Section[];
  /**
   * Their sums.
   */
  totals: Totals;
  /**
   * How much room there is.
   */
  window: Window;
  /**
   * How good the estimate is.
   */
  calibration: Calibration;
  /**
   * What of the history the model would not see.
   */
  context?: SentContext;
  /**
   * The tokens as the provider counted them, when that was asked for.
   */
  exactTokens?: number;
  /**
   * The turn that was asked for.
   */
  turn?: TurnInspection;
}
/**
 * One part of the context: its text, and what it weighs.
 */
export interface Section {
  /**
   * Which section it is.
   */
  name: SectionName;
  /**
   * Its text, as it is sent.
   */
  content: string;
  /**
   * UTF-8 bytes of it.
   */
  byteCount: number;
  /**
   * Tokens, estimated.
   */
  tokenEstimate: number;
  /**
   * For a provider that remembers nothing; `null` when the price is not known.
   */
  costEstimate: Usd | null;
  /**
   * True when the provider most likely has all of it in its cache.
   */
  cached?: boolean;
  /**
   * How many of its tokens that most likely has.
   */
  cachedTokens?: number;
  /**
   * The cost with that.
   */
  cachedCostEstimate?: Usd | null;
  /**
   * Bytes of it that a later part of it replaces.
   */
  superseded?: number;
}
/**
 * The sums of the sections.
 */
export interface Totals {
  /**
   * UTF-8 bytes.
   */
  byteCount: number;
  /**
   * Tokens, estimated.
   */
  tokenEstimate: number;
  /**
   * For a provider that remembers nothing; `null` when the price is not known.
   */
  costEstimate: Usd | null;
  /**
   * How many tokens the provider's cache most likely has.
   */
  cachedTokens?: number;
  /**
   * The cost with that.
   */
  cachedCostEstimate?: Usd | null;
}
/**
 * The model's input window in tokens.
 */
export interface Window {
  /**
   * All of it.
   */
  limit: number;
  /**
   * What the context takes of it, estimated.
   */
  used: number;
  /**
   * What is left.
   */
  free: number;
}
/**
 * How the provider counts the model's tokens, learned from its bills.
 */
export interface Calibration {
  /**
   * Billed tokens for each counted one.
   */
  ratio: number;
  /**
   * How many bills it was learned from.
   */
  samples: number;
  /**
   * By how much the latest estimates missed the bill on average, of 1.
   */
  error?: number;
}
/**
 * A turn that was sent: what it was estimated at, beside what it was billed.
 *
 * The figures are of the turn's first request.
 */
export interface TurnInspection {
  /**
   * The turn.
   */
  turnId: string;
  /**
   * What each section weighed.
   */
  sections: SectionWeight[];
  /**
   * Tokens of its first request, as estimated.
   */
  tokenEstimate: number;
  /**
   * Tokens of its first request, as billed.
   */
  billedTokens: number;
  /**
   * What these were estimated to cost.
   */
  costEstimate: Usd | null;
  /**
   * What these cost.
   */
  billedCost: Usd | null;
  /**
   * How far the estimate was off, of 1.
   */
  error: number;
  /**
   * True when the bill does not tell the cost exactly.
   */
  estimated?: boolean;
}
/**
 * What was billed.
 */
export interface UsageReport {
  /**
   * Tells what it is.
   */
  type: "usage.report";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * By model.
   */
  perModel: {
    [k: string]: ModelUsage;
  };
  /**
   * Of all models.
   */
  grandTotal: GrandTotal;
}
/**
 * What one model was billed.
 */
export interface ModelUsage {
  /**
   * Billed for prompts.
   */
  inputTokens: number;
  /**
   * Billed for answers.
   */
  outputTokens: number;
  /**
   * Both together.
   */
  totalTokens: number;
  /**
   * The parts of `inputTokens`.
   */
  inputDetails: InputDetails;
  /**
   * The part of `outputTokens` that was reasoning.
   */
  outputDetails: OutputDetails;
  /**
   * Searches, which are billed one by one.
   */
  webSearches: number;
  /**
   * `null` when any request has no known price.
   */
  totalCost: Usd | null;
  /**
   * Turns of which it answered at least one request; one of several models counts for each.
   */
  requestCount: number;
  /**
   * Those without a known price.
   */
  unpricedRequests: number;
  /**
   * Those whose cost is not exact.
   */
  estimatedRequests?: number;
}
/**
 * All models together; requests without a known price are counted, not guessed.
 */
export interface GrandTotal {
  /**
   * Of all that has a known price.
   */
  totalCost: Usd;
  /**
   * Of all.
   */
  totalTokens: number;
  /**
   * Turns, each of them once, however many models answered.
   */
  requestCount: number;
  /**
   * Those without a known price.
   */
  unpricedRequests: number;
  /**
   * Those whose cost is not exact.
   */
  estimatedRequests?: number;
}
/**
 * A page of sessions.
 */
export interface SessionListing {
  /**
   * Tells what it is.
   */
  type: "session.list";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The most recently active first.
   */
  sessions: SessionSummary[];
  /**
   * What the next page's `before` takes; left out on the last one.
   */
  next?: string;
}
/**
 * One line of the list of sessions; times are ISO 8601 in UTC.
 */
export interface SessionSummary {
  /**
   * The session.
   */
  sessionId: string;
  /**
   * `agent:{agentId}:{sessionId}`
   */
  sessionKey: string;
  /**
   * The model that its next turn asks, unless another is named.
   */
  model: string;
  /**
   * ISO 8601 in UTC.
   */
  createdAt: string;
  /**
   * ISO 8601 in UTC.
   */
  lastActiveAt: string;
  /**
   * Messages of the user and of the model.
   */
  messageCount: number;
  /**
   * A name for people.
   */
  title?: string;
}
/**
 * A page of a session's messages.
 */
export interface SessionHistoryPage {
  /**
   * Tells what it is.
   */
  type: "session.history";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The session.
   */
  sessionId: string;
  /**
   * Oldest first.
   */
  messages: HistoryMessage[];
  /**
   * What the older page's `before` takes; left out on the oldest one.
   */
  next?: string;
}
/**
 * One message of a session, as it was stored.
 */
export interface HistoryMessage {
  /**
   * Who wrote it.
   */
  role: Role;
  /**
   * A text, or blocks in the provider's shapes.
   */
  content: string | {}[];
  /**
   * ISO 8601 in UTC.
   */
  createdAt: string;
  /**
   * Its tokens, estimated.
   */
  tokens?: number;
  /**
   * The turn that it belongs to.
   */
  turnId?: string;
  /**
   * Why it is not whole.
   */
  status?: HistoryStatus;
}
/**
 * A session is gone.
 */
export interface SessionDeleted {
  /**
   * Tells what it is.
   */
  type: "session.deleted";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The session.
   */
  sessionId: string;
}
/**
 * The models that can be asked for, and the tools of servers that no model is offered.
 */
export interface ModelListing {
  /**
   * Tells what it is.
   */
  type: "model.list";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The model of whoever names none.
   */
  defaultModel: string;
  /**
   * The models.
   */
  models: ModelSummary[];
  /**
   * Tools of servers that no model is offered.
   */
  toolsLeftOut?: LeftOutTool[];
}
/**
 * One model.
 */
export interface ModelSummary {
  /**
   * What `model` takes.
   */
  id: string;
  /**
   * Its name, for people.
   */
  displayName: string;
  /**
   * The window, in tokens.
   */
  maxInputTokens: number;
  /**
   * The most tokens of an answer.
   */
  maxTokens: number;
  /**
   * The kinds of thinking that it has, in the provider's words.
   */
  thinking: string[];
  /**
   * The values of `effort` that it takes.
   */
  efforts: string[];
  /**
   * For a million tokens; `null` when it is not known.
   */
  inputPrice: Usd | null;
  /**
   * For a million tokens; `null` when it is not known.
   */
  outputPrice: Usd | null;
  /**
   * Left out when it is not known.
   */
  lifecycle?: Lifecycle;
  /**
   * The day on which it goes, when that is told.
   */
  retiresAt?: string;
}
/**
 * A tool that no model is offered.
 */
export interface LeftOutTool {
  /**
   * What its server calls it.
   */
  name: string;
  /**
   * The server's name in the settings.
   */
  server?: string;
  /**
   * Why, as a clause for a person.
   */
  reason: string;
}
/**
 * The gateway's figures, read from its state.
 */
export interface GatewayStatusReport {
  /**
   * Tells what it is.
   */
  type: "gateway.status";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
  /**
   * The gateway's version.
   */
  version: string;
  /**
   * Since the start.
   */
  uptimeSeconds: number;
  /**
   * Clients that are connected.
   */
  connections: number;
  /**
   * Running turns by their state.
   */
  turns: {
    [k: string]: number;
  };
  /**
   * Open streams from the provider.
   */
  upstreamStreams: number;
  /**
   * Turns whose events are kept, finished ones included.
   */
  logs: number;
  /**
   * What these weigh.
   */
  logBytes: number;
  /**
   * Those of running turns that nobody watches.
   */
  detachedLogs?: number;
  /**
   * What these weigh.
   */
  detachedLogBytes?: number;
  /**
   * Pings of the provider since the start; they are no content.
   */
  providerPings?: number;
  /**
   * How long an open stream has brought no content, to a second.
   */
  longestSilenceSeconds?: number;
  /**
   * By actor; of the connections the deepest, as `connections`.
   */
  mailboxes: {
    [k: string]: MailboxDepth;
  };
  /**
   * Whether it can be written.
   */
  ledger: LedgerState;
  /**
   * Writes that wait.
   */
  ledgerQueue: number;
  /**
   * Turns that are not settled.
   */
  openRows: number;
  /**
   * The age of the oldest of them; 0 when there is none.
   */
  oldestOpenRowSeconds?: number;
  /**
   * The process's resident memory; 0 where the system does not tell it.
   */
  memoryBytes: number;
  /**
   * Whether the gateway is about to close.
   */
  draining: boolean;
  /**
   * Tools of servers that no model is offered.
   */
  toolsLeftOut?: LeftOutTool[];
}
/**
 * How many messages wait in an actor's mailbox, of how many it takes.
 */
export interface MailboxDepth {
  /**
   * Messages that wait.
   */
  waiting: number;
  /**
   * The most that may.
   */
  size: number;
}
/**
 * The answer to `ping`.
 */
export interface Pong {
  /**
   * Tells what it is.
   */
  type: "pong";
  /**
   * The `id` of the request that this answers.
   */
  requestId: string;
}
/**
 * The gateway is about to close: finish, or reconnect elsewhere.
 */
export interface GatewayDraining {
  /**
   * Tells what it is.
   */
  type: "gateway.draining";
  /**
   * Milliseconds until it closes.
   */
  deadlineMs: number;
}

/**
 * By the type of a request, the message that answers it, if no error does.
 */
export interface Replies {
  "context.inspect": ContextInspection;
  "usage.query": UsageReport;
  "session.create": SessionCreated;
  "session.list": SessionListing;
  "session.history": SessionHistoryPage;
  "session.delete": SessionDeleted;
  "model.list": ModelListing;
  "gateway.status": GatewayStatusReport;
  "ping": Pong;
}
