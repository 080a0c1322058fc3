// A whole host for koru-delta in Go, on wazero: docs/abi.md in code. go run . MODULE IN OUT
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const (
	opReplay, opPut, opGet, opSimilar, opSearch = 2, 3, 5, 23, 33
	flagEndOfFile                               = 4
	now                                         = ^uint64(0)
)

var le = binary.LittleEndian

// Reply is what the engine answers, copied out of its memory.
type Reply struct {
	Status, Flags    uint32
	Payload, Journal []byte
	Sequence         uint64
}

// Engine is one instance of the module. After an error that is no Reply it must not be called again.
type Engine struct {
	ctx           context.Context
	memory        api.Memory
	request, call api.Function
}

func newEngine(ctx context.Context, runtime wazero.Runtime, module wazero.CompiledModule) (*Engine, error) {
	instance, err := runtime.InstantiateModule(ctx, module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, err
	}
	if version, err := instance.ExportedFunction("koru_abi_version").Call(ctx); err != nil || uint32(version[0]) != 1 {
		return nil, fmt.Errorf("the module speaks version %v, this host speaks 1: %w", version, err)
	}
	return &Engine{ctx, instance.Memory(), instance.ExportedFunction("koru_request"), instance.ExportedFunction("koru_call")}, nil
}

// Call carries out one request.
func (e *Engine) Call(opcode uint32, request []byte) (reply Reply, err error) {
	found, err := e.request.Call(e.ctx, uint64(len(request)))
	if err != nil {
		return reply, err
	}
	if address := uint32(found[0]); address == 0 || !e.memory.Write(address, request) {
		return reply, fmt.Errorf("the engine has no memory for %d bytes", len(request))
	}
	if found, err = e.call.Call(e.ctx, uint64(opcode), uint64(len(request))); err != nil {
		return reply, err
	}
	header, _ := e.memory.Read(uint32(found[0]), 32) // Without one, reading words of it panics.
	word := func(at int) uint32 { return le.Uint32(header[at:]) }
	payload, first := e.memory.Read(word(8), word(12))
	journal, second := e.memory.Read(word(16), word(20))
	if !first || !second {
		return reply, fmt.Errorf("the engine names bytes that it does not have")
	}
	copied := func(view []byte) []byte { return append([]byte(nil), view...) } // The next call overwrites it.
	return Reply{word(0), word(4), copied(payload), copied(journal), le.Uint64(header[24:])}, nil
}

// Database is an open database whose log is in memory: whoever keeps log keeps the database.
type Database struct {
	engine   *Engine
	sequence uint64
	log      []byte
}

// do carries out an operation and keeps the frames that it wrote.
func (db *Database) do(opcode, flags uint32, namespace, key, control string, payload, vector []byte) (Reply, error) {
	parts := [][]byte{[]byte(namespace), []byte(key), []byte(control), payload, vector}
	b := le.AppendUint64(nil, uint64(time.Now().UnixMicro()))
	b = le.AppendUint64(le.AppendUint64(b, db.sequence), now)
	for _, part := range parts[:4] {
		b = le.AppendUint32(b, uint32(len(part)))
	}
	b = le.AppendUint32(le.AppendUint32(b, flags), uint32(len(vector)))
	b = le.AppendUint64(b, db.sequence)
	for _, part := range parts {
		b = append(b, part...)
	}
	reply, err := db.engine.Call(opcode, b)
	if err == nil && reply.Status != 0 {
		err = fmt.Errorf("status %d: %s", reply.Status, reply.Payload)
	}
	if err == nil { // Here a host would append to its file and sync it; only then does it acknowledge.
		db.log, db.sequence = append(db.log, reply.Journal...), reply.Sequence
	}
	return reply, err
}

// keys returns the keys of the hits of one query: scores are passed over, then come versions.
func keys(payload []byte) []string {
	hits := int(le.Uint32(payload[4:]))
	found, record := make([]string, hits), 12+8*hits
	for i := range found {
		start := record + 64 + int(le.Uint16(payload[record+40:])) // Behind the namespace.
		found[i] = string(payload[start : start+int(le.Uint16(payload[record+42:]))])
		record += int(le.Uint32(payload[12+4*hits+4*i:]))
	}
	return found
}

func main() {
	must := func(reply Reply, err error) Reply {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return reply
	}
	ctx := context.Background()
	code, _ := os.ReadFile(os.Args[1]) // An error shows as a module that does not compile.
	file, err := os.ReadFile(os.Args[2])
	must(Reply{}, err)
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(4096)) // 256 MiB
	module, err := runtime.CompileModule(ctx, code)
	must(Reply{}, err)
	engine, err := newEngine(ctx, runtime, module)
	must(Reply{}, err)
	db := &Database{engine: engine}
	open := `{"database_id": "00000000000000000000000000000000", "journal": true, "memory_budget": 250000000}`
	control := `{"open": ` + open + `, "writable": true, "verify": false, "offset": 0}`
	var outcome struct{ Valid_bytes int }
	must(Reply{}, json.Unmarshal(must(db.do(opReplay, flagEndOfFile, "", "", control, file, nil)).Payload, &outcome))
	db.log = append(db.log, file[:outcome.Valid_bytes]...) // Without what a crash left of a write.

	var user map[string]any
	must(Reply{}, json.Unmarshal(must(db.do(opGet, 0, "users", "alice", "", nil, nil)).Payload, &user))
	value := fmt.Appendf(nil, `{"age": %v, "seen": "wazero"}`, user["age"])
	must(db.do(opPut, 0, "users", "alice", "", value, nil))
	search := must(db.do(opSearch, 0, "notes", "", `{"text": "planet", "top_k": 10, "fields": null}`, nil, nil))
	query := []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f, 0, 0, 0x80, 0x3e} // 1, 0.5 and 0.25 as float32
	similar := must(db.do(opSimilar, 0, "notes", "", `{"model": null, "queries": 1, "top_k": 10, "threshold": null}`, nil, query))
	must(Reply{}, json.NewEncoder(os.Stdout).Encode(map[string]any{"user": user, "search": keys(search.Payload), "similar": keys(similar.Payload)}))
	must(Reply{}, os.WriteFile(os.Args[3], db.log, 0o644))
}
