/**
 * Compatibles of Chat Completions as their documentation describes them, by name: what each refuses that OpenAI takes,
 * and how its stream differs. Written from the providers' pages, not from the adapter's table.
 */

export type ChatHouse = {
  /** Parameters it answers with an error, as it does every one that it does not know. */
  refuses?: readonly string[];
  /** Parameters it passes over without a word: a request that relies on one is a mistake, and refused here. */
  passesOver?: readonly string[];
  /** Parameters of its own. */
  takes?: readonly string[];
  /** Members of an assistant's message that it refuses. */
  refusesInMessages?: readonly string[];
  /** The form of every call's id. */
  callIds?: RegExp;
  /** The message after a tool's answer is the assistant's, or another answer. */
  strictOrder?: true;
  /** Thinking is on unless `thinking` says `disabled`: then calls come with their reasoning, and no tool is forced. */
  thinks?: true;
  /** `response_format` is `text` or `json_object`. */
  plainJsonOnly?: true;
  /** The first call of a message carries the signature of its thought. */
  signs?: true;
  /** When a stream tells its usage: in a chunk of its own when asked (OpenAI), in the last one unasked, in each one. */
  usage?: 'unasked' | 'each';
  /** What it thought counts in the total alone. */
  thoughtsBeside?: true;
  /** Thoughts come as elements of a content that is a list. */
  listedThoughts?: true;
  /** Reasoning comes in numbered pieces besides its text. */
  detailedThoughts?: true;
  /** It finds nothing cached without a `prompt_cache_key`. */
  cachesByKey?: true;
};

export const CHAT_HOUSES = {
  // https://openrouter.ai/docs/api-reference/parameters, https://openrouter.ai/docs/use-cases/reasoning-tokens
  openrouter: { passesOver: ['max_completion_tokens'], detailedThoughts: true },
  // https://docs.ollama.com/api/openai-compatibility: what is not in its list
  ollama: { passesOver: ['max_completion_tokens'] },
  // https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
  vllm: {},
  // https://api-docs.deepseek.com/guides/thinking_mode, https://api-docs.deepseek.com/api/create-chat-completion
  deepseek: { takes: ['thinking'], thinks: true, plainJsonOnly: true, passesOver: ['max_completion_tokens'] },
  // https://console.groq.com/docs/openai
  groq: { refusesInMessages: ['reasoning_content', 'reasoning'] },
  // https://docs.together.ai/reference/chat-completions-1
  together: { passesOver: ['max_completion_tokens'] },
  // https://docs.mistral.ai/api/endpoint/chat, https://docs.mistral.ai/studio-api/conversations/advanced/prompt-caching
  mistral: {
    refuses: ['stream_options', 'max_completion_tokens'],
    refusesInMessages: ['reasoning_content', 'reasoning', 'refusal'],
    callIds: /^[a-zA-Z0-9]{9}$/,
    strictOrder: true,
    usage: 'unasked',
    listedThoughts: true,
    cachesByKey: true,
  },
  // https://ai.google.dev/gemini-api/docs/openai, https://ai.google.dev/gemini-api/docs/thought-signatures
  google: { signs: true, usage: 'each', thoughtsBeside: true },
} as const satisfies { [name: string]: ChatHouse };
