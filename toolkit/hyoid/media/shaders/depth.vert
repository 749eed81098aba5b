#version 330 core
// SPDX-License-Identifier: Apache-2.0
layout(location = 0) in vec3 position;
layout(location = 2) in vec2 uv;
uniform mat4 view_projection;
out vec2 place;

void main() {
    place = uv;
    gl_Position = view_projection * vec4(position, 1.0);
}
