#version 330 core
// SPDX-License-Identifier: Apache-2.0
layout(location = 0) in vec3 position;
layout(location = 5) in vec4 extra;
uniform mat4 shadow_matrix;
out vec2 kept;
void main() {
    kept = extra.yw;
    gl_Position = shadow_matrix * vec4(position, 1.0);
}
