#include "labvla_control/ros/serial_chain.hpp"

#include <urdf_parser/urdf_parser.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace labvla::control {

namespace {

Vector3 cross(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

Vector3 turn(const Matrix3& m, const Vector3& v) {
  Vector3 out{};
  for (std::size_t r = 0; r < 3; ++r)
    out[r] = m[3 * r] * v[0] + m[3 * r + 1] * v[1] + m[3 * r + 2] * v[2];
  return out;
}

Matrix3 product(const Matrix3& a, const Matrix3& b) {
  Matrix3 out{};
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t k = 0; k < 3; ++k) out[3 * r + c] += a[3 * r + k] * b[3 * k + c];
    }
  }
  return out;
}

// By Rodrigues' formula; `axis` has unit length.
Matrix3 about(const Vector3& axis, double angle) {
  const double s = std::sin(angle);
  const double c = std::cos(angle);
  const auto& [x, y, z] = axis;
  const double w = 1.0 - c;
  return {w * x * x + c,     w * x * y - s * z, w * x * z + s * y,  //
          w * x * y + s * z, w * y * y + c,     w * y * z - s * x,  //
          w * x * z - s * y, w * y * z + s * x, w * z * z + c};
}

Matrix3 rotation_of(const urdf::Rotation& q) {
  const double angle = 2.0 * std::acos(std::clamp(q.w, -1.0, 1.0));
  const double size = std::sqrt(q.x * q.x + q.y * q.y + q.z * q.z);
  if (size < 1e-12) return {1, 0, 0, 0, 1, 0, 0, 0, 1};
  return about({q.x / size, q.y / size, q.z / size}, angle);
}

[[noreturn]] void refuse(const std::string& problem) { throw std::invalid_argument(problem); }

}  // namespace

SerialChain::SerialChain(const std::string& urdf, const std::string& base, const std::string& tip,
                         const std::vector<std::string>& joints)
    : joints_(joints.size()) {
  const urdf::ModelInterfaceSharedPtr model = urdf::parseURDF(urdf);
  if (!model) refuse("wrist: the robot description is not a URDF");
  urdf::LinkConstSharedPtr link = model->getLink(tip);
  if (!link) refuse("wrist.frame: the robot description has no link '" + tip + "'");
  while (link->name != base) {
    const urdf::JointConstSharedPtr joint = link->parent_joint;
    if (!joint) refuse("wrist.base: no way from link '" + tip + "' down to link '" + base + "'");
    Segment segment;
    const urdf::Pose& pose = joint->parent_to_joint_origin_transform;
    segment.rotation = rotation_of(pose.rotation);
    segment.origin = {pose.position.x, pose.position.y, pose.position.z};
    if (joint->type != urdf::Joint::FIXED) {
      const auto found = std::find(joints.begin(), joints.end(), joint->name);
      if (found == joints.end())
        refuse("wrist.frame: '" + joint->name + "' moves the sensor but is not in 'joints'");
      segment.joint = static_cast<int>(found - joints.begin());
      segment.revolute = joint->type != urdf::Joint::PRISMATIC;
      const double size = std::hypot(joint->axis.x, joint->axis.y, joint->axis.z);
      segment.axis = {joint->axis.x / size, joint->axis.y / size, joint->axis.z / size};
    }
    segments_.push_back(segment);
    link = model->getLink(joint->parent_link_name);
  }
  std::reverse(segments_.begin(), segments_.end());
}

void SerialChain::locate(const PerJoint<>& position, WristInput& wrist) const {
  PerJoint<Vector3> axis{};
  PerJoint<Vector3> origin{};
  PerJoint<int> kind{};  // 0: not on the way, 1: turns, 2: slides
  Matrix3 rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  Vector3 at{};
  for (const Segment& segment : segments_) {
    const Vector3 step = turn(rotation, segment.origin);
    for (std::size_t k = 0; k < 3; ++k) at[k] += step[k];
    rotation = product(rotation, segment.rotation);
    if (segment.joint < 0) continue;
    const auto i = static_cast<std::size_t>(segment.joint);
    axis[i] = turn(rotation, segment.axis);
    origin[i] = at;
    kind[i] = segment.revolute ? 1 : 2;
    if (segment.revolute) {
      rotation = product(rotation, about(segment.axis, position[i]));
    } else {
      for (std::size_t k = 0; k < 3; ++k) at[k] += axis[i][k] * position[i];
    }
  }
  wrist.rotation = rotation;
  for (std::size_t i = 0; i < joints_; ++i) {
    const Vector3 arm{at[0] - origin[i][0], at[1] - origin[i][1], at[2] - origin[i][2]};
    const Vector3 linear = kind[i] == 1 ? cross(axis[i], arm) : axis[i];
    for (std::size_t k = 0; k < 3; ++k) {
      wrist.jacobian[k][i] = kind[i] == 0 ? 0.0 : linear[k];
      wrist.jacobian[3 + k][i] = kind[i] == 1 ? axis[i][k] : 0.0;
    }
  }
}

}  // namespace labvla::control
