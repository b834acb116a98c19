# SPDX-License-Identifier: Apache-2.0
"""A model that follows a script, behind the documented wire forms of two providers: Anthropic's Messages and OpenAI's
Responses, each streamed as server-sent events. Real agents cannot tell it from a slow-witted model.

A script is a list of turns, each a function of the `Task` as the agent last told it: `call(command)` asks for the
agent's own shell tool, `say(text)` answers. The turn is found from the conversation itself, so that a request that is
sent again gets the same answer. Requests without tools (titles, summaries) are answered in one word.
"""

import itertools
import json
from dataclasses import dataclass, field

TEXT_PIECE = 12        # characters of an answer in one event


@dataclass
class Task:
    """What the agent told: its questions, the tools it offers, the results of the tools it ran since the last one."""
    dialect: object
    tools: list
    questions: list = field(default_factory=list)
    results: list = field(default_factory=list)
    turns: int = 0          # answers the model has given in this conversation

    @property
    def last_result(self):
        return self.results[-1] if self.results else ""


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Call:
    tool: str
    arguments: object       # a dict, or the text of a tool that takes free text


def say(text):
    """The model answers; `{result}` stands for what the last tool call returned."""
    return lambda task: Say(text.replace("{result}", task.last_result))


def call(command):
    """The model asks for the agent's shell tool, whatever that is called there."""
    return lambda task: task.dialect.shell_call(task, command)


class ModelServer:
    """Routes for a RecordingUpstream. Every task that was understood is kept in `tasks`."""

    def __init__(self, turns):
        self.turns = turns
        self.tasks = []
        self._numbers = itertools.count(1)

    def routes(self):
        return {"/v1/messages": lambda exchange: self._answer(exchange, Messages),
                "/v1/messages/count_tokens": lambda exchange: respond_json(exchange, {"input_tokens": 7}),
                "/v1/responses": lambda exchange: self._answer(exchange, Responses),
                "/v1/models": lambda exchange: respond_json(exchange, {"object": "list", "data": [], "models": []}),
                "/": lambda exchange: (exchange.read_body(), exchange.respond(404, b""))}

    def _answer(self, exchange, dialect):
        request = json.loads(exchange.read_body())
        task = dialect.read(request)
        if task.tools:
            self.tasks.append(task)
            turn = self.turns[task.turns](task) if task.turns < len(self.turns) else Say("That is all.")
        else:
            turn = Say("Task")
        number = next(self._numbers)
        if not request.get("stream"):
            respond_json(exchange, dialect.whole(turn, request, number))
            return
        exchange.start_chunked(200, [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])
        for event in dialect.events(turn, request, number):
            exchange.send_chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        exchange.end_chunked()


def respond_json(exchange, value):
    exchange.read_body()
    exchange.respond(200, json.dumps(value), [("Content-Type", "application/json")])


def pieces(text):
    return [text[at:at + TEXT_PIECE] for at in range(0, len(text), TEXT_PIECE)] or [""]


def plain_text(content):
    """The text of a message's content, which is a string or a list of blocks in both wire forms."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content or [] if isinstance(block, dict))


class Messages:
    """Anthropic's Messages API: `POST /v1/messages`."""

    @classmethod
    def read(cls, request):
        task = Task(cls, [tool["name"] for tool in request.get("tools", [])])
        for message in request["messages"]:
            blocks = message["content"]
            blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
            if message["role"] == "assistant":
                task.turns += 1
                continue
            for block in blocks:
                if block["type"] == "tool_result":
                    task.results.append(plain_text(block.get("content")))
                elif block["type"] == "text":
                    task.questions.append(block["text"])
        return task

    @staticmethod
    def shell_call(task, command):
        assert "Bash" in task.tools, f"the agent offers no shell: {task.tools}"
        return Call("Bash", {"command": command, "description": "Run one command"})

    @staticmethod
    def _block(turn, number):
        if isinstance(turn, Say):
            return {"type": "text", "text": turn.text}
        return {"type": "tool_use", "id": f"toolu_{number:024d}", "name": turn.tool, "input": turn.arguments}

    @classmethod
    def whole(cls, turn, request, number):
        return {"id": f"msg_{number:024d}", "type": "message", "role": "assistant", "model": request["model"],
                "content": [cls._block(turn, number)], "stop_sequence": None,
                "stop_reason": "end_turn" if isinstance(turn, Say) else "tool_use",
                "usage": {"input_tokens": 10, "output_tokens": 10}}

    @classmethod
    def events(cls, turn, request, number):
        message = cls.whole(turn, request, number)
        reason, block = message["stop_reason"], message["content"][0]
        yield {"type": "message_start", "message": dict(message, content=[], stop_reason=None)}
        if block["type"] == "text":
            empty, name = dict(block, text=""), "text"
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(turn.text)]
        else:
            empty, name = dict(block, input={}), "partial_json"
            deltas = [{"type": "input_json_delta", name: piece} for piece in pieces(json.dumps(turn.arguments))]
        yield {"type": "content_block_start", "index": 0, "content_block": empty}
        yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
        yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
               "usage": {"output_tokens": 10}}
        yield {"type": "message_stop"}


class Responses:
    """OpenAI's Responses API: `POST /v1/responses`."""

    @classmethod
    def _names(cls, tools):
        """The names of all tools, those in name spaces among them."""
        for tool in tools:
            yield tool.get("name", tool["type"])
            yield from cls._names(tool.get("tools", []))

    @classmethod
    def read(cls, request):
        task = Task(cls, list(cls._names(request.get("tools", []))))
        items = request["input"]
        items = [{"type": "message", "role": "user", "content": items}] if isinstance(items, str) else items
        for item in items:
            kind, role = item.get("type", "message"), item.get("role")
            if kind == "additional_tools":
                task.tools += cls._names(item["tools"])
            elif kind in ("function_call", "custom_tool_call") or (kind == "message" and role == "assistant"):
                task.turns += 1
            elif kind in ("function_call_output", "custom_tool_call_output"):
                task.results.append(plain_text(item["output"]))
            elif kind == "message" and role == "user":
                task.questions.append(plain_text(item["content"]))
        return task

    @staticmethod
    def shell_call(task, command):
        if "exec" in task.tools:   # a script that calls the tools
            return Call("exec", f"const done = await tools.exec_command({json.dumps({'cmd': command})}); "
                                "text(done.output);")
        assert "exec_command" in task.tools, f"the agent offers no shell: {task.tools}"
        return Call("exec_command", {"cmd": command})

    @staticmethod
    def _item(turn, number):
        if isinstance(turn, Say):
            return {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": turn.text, "annotations": []}]}
        named = {"id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed", "name": turn.tool}
        if isinstance(turn.arguments, str):
            return {"type": "custom_tool_call", **named, "input": turn.arguments}
        return {"type": "function_call", **named, "arguments": json.dumps(turn.arguments)}

    @classmethod
    def whole(cls, turn, request, number):
        return {"id": f"resp_{number}", "object": "response", "status": "completed", "model": request["model"],
                "output": [cls._item(turn, number)],
                "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 10,
                          "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 20}}

    @classmethod
    def events(cls, turn, request, number):
        whole = cls.whole(turn, request, number)
        item = whole["output"][0]
        sequence = itertools.count()

        def event(kind, **fields):
            return {"type": kind, "sequence_number": next(sequence), **fields}

        yield event("response.created", response=dict(whole, status="in_progress", output=[], usage=None))
        given, kind = {"message": ("content", "output_text"), "function_call": ("arguments", "function_call_arguments"),
                       "custom_tool_call": ("input", "custom_tool_call_input")}[item["type"]]
        text = turn.text if isinstance(turn, Say) else item[given]
        empty = [] if isinstance(turn, Say) else ""
        yield event("response.output_item.added", output_index=0, item=dict(item, **{given: empty},
                                                                            status="in_progress"))
        for piece in pieces(text):
            yield event(f"response.{kind}.delta", item_id=item["id"], output_index=0, content_index=0, delta=piece)
        yield event("response.output_item.done", output_index=0, item=item)
        yield event("response.completed", response=whole)
