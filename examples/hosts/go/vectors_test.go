package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tetratelabs/wazero"
)

// A document is a file of conformance vectors: see docs/abi.md.
type document struct {
	Name  string
	Log   string
	Steps []struct {
		About   string
		Request struct {
			Opcode uint32
			Bytes  string
		}
		// Bytes that belong where the reply's payload says.
		Fill  string
		Reply struct {
			Status, Flags    uint32
			Payload, Journal string
			Error            map[string]any
			Sequence         uint64
		}
	}
}

// TestVectors carries out the files of VECTORS on the module MODULE, and prints how many there were.
func TestVectors(t *testing.T) {
	ctx := context.Background()
	code, err := os.ReadFile(os.Getenv("MODULE"))
	if err != nil {
		t.Skip("MODULE names no module")
	}
	runtime := wazero.NewRuntime(ctx)
	module, err := runtime.CompileModule(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(filepath.Join(os.Getenv("VECTORS"), "*.json"))
	steps := 0
	for _, path := range paths {
		var one document
		text, _ := os.ReadFile(path)
		if err := json.Unmarshal(text, &one); err != nil {
			t.Fatal(path, err)
		}
		engine, err := newEngine(ctx, runtime, module)
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := one.run(engine)
		if err != nil || len(wrong) > 0 {
			t.Errorf("%s: %v %v", one.Name, err, wrong)
		}
		steps += len(one.Steps)
	}
	fmt.Printf("{\"files\": %d, \"steps\": %d, \"wrong\": []}\n", len(paths), steps)
}

func (one document) run(engine *Engine) (wrong []string, err error) {
	var log []byte
	for number, step := range one.Steps {
		request, err := hex.DecodeString(step.Request.Bytes)
		if err != nil {
			return nil, err
		}
		found, err := engine.Call(step.Request.Opcode, request)
		if err != nil {
			return nil, err
		}
		log = append(log, found.Journal...)
		expected := step.Reply
		holds := found.Status == expected.Status && found.Flags == expected.Flags &&
			found.Sequence == expected.Sequence && hex.EncodeToString(found.Journal) == expected.Journal
		if content, _ := hex.DecodeString(step.Fill); len(content) > 0 {
			holds = holds && engine.fill(found.Payload, content)
		} else if expected.Status == 0 {
			holds = holds && hex.EncodeToString(found.Payload) == expected.Payload
		} else {
			holds = holds && tells(found.Payload, expected.Error)
		}
		if !holds {
			wrong = append(wrong, fmt.Sprintf("%s, step %d (%s): %+v", one.Name, number+1, step.About, found))
		}
	}
	if whole, err := hex.DecodeString(one.Log); err != nil || !bytes.Equal(log, whole) {
		wrong = append(wrong, one.Name+": the log differs")
	}
	return wrong, nil
}

// fill copies bytes across the stretches of memory that a payload names.
func (e *Engine) fill(stretches, content []byte) bool {
	for ; len(stretches) > 0; stretches = stretches[8:] {
		address, length := le.Uint32(stretches), le.Uint32(stretches[4:])
		if !e.memory.Write(address, content[:length]) {
			return false
		}
		content = content[length:]
	}
	return true
}

// tells says whether an error has a message, a suggestion, and the details that it should have.
func tells(payload []byte, details map[string]any) bool {
	var found map[string]any
	if json.Unmarshal(payload, &found) != nil || found["message"] == nil || found["suggestion"] == nil {
		return false
	}
	for name, value := range details {
		if !reflect.DeepEqual(found[name], value) {
			return false
		}
	}
	return true
}
