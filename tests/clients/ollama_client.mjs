// Does one thing with Ollama's own client for JavaScript and prints what came of it, as JSON.
import { Ollama } from 'ollama'

const { CLIENT_HOST: host, CLIENT_TOKEN: token } = process.env
const ollama = new Ollama({ host, headers: token ? { Authorization: `Bearer ${token}` } : {} })
const model = 'gpt-oss:20b'
const messages = [{ role: 'user', content: 'Hello' }]
const pieces = []

async function streamed () {
  for await (const part of await ollama.chat({ model, messages, stream: true })) pieces.push(part.message.content)
  return pieces.join('')
}

async function tools () {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const tool = { type: 'function', function: { name: 'get_weather', description: 'Weather', parameters } }
  const asked = [{ role: 'user', content: 'What is the weather in Oslo?' }]
  const first = await ollama.chat({ model, messages: asked, tools: [tool] })
  const result = { role: 'tool', tool_name: 'get_weather', content: 'rain' }
  const last = await ollama.chat({ model, messages: [...asked, first.message, result], tools: [tool] })
  return { calls: first.message.tool_calls.map(call => call.function), content: last.message.content }
}

const deeds = {
  list: async () => (await ollama.list()).models.map(found => found.name),
  show: async () => (await ollama.show({ model })).capabilities,
  chat: async () => (await ollama.chat({ model, messages })).message.content,
  generate: async () => (await ollama.generate({ model, prompt: 'Hello' })).response,
  streamed,
  tools
}

try {
  console.log(JSON.stringify({ result: await deeds[process.argv[2]]() }))
} catch (error) {
  console.log(JSON.stringify({ error: error.message, status: error.status_code ?? null, pieces: pieces.length }))
}
